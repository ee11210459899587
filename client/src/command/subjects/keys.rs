//! One's own half of a closed month's key, sealed to whom it is handed over.

use std::path::Path;

use accord_proto::{
    agreement::{ShareKeys, SignedAgreement},
    document::Authorities,
    shares::{SealedShare, ShareKey, ShareSecret},
    subject::Month,
};
use serde_json::json;

use super::{args::ShareArgs, month};
use crate::{
    Auditor,
    command::{
        agreement::status::authority_keys,
        args::{Stating, Whom},
        audit::{auditor, reader},
        exit::{Exit, Failure},
        signing,
        terminal::Terminal,
    },
};

/// `accord audit share`.
pub(super) async fn share(
    whom: &Whom,
    stating: &Stating,
    args: &ShareArgs,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let month = month(&args.month)?;
    let secret = signing::share_secret(&args.share_key)?;
    signing::check_new(&args.output)?;
    let (share, to) = match &args.kept {
        Some(file) => kept(whom, args, month, file, &secret, terminal).await?,
        None => {
            let auditor = reader(whom, stating, terminal, &format!("the half for {month}"))?;
            let to = match args.own {
                true => secret.key().clone(),
                false => other_key(whom, &auditor).await?,
            };
            (auditor.key_share(month).await?, to)
        }
    };
    let opened = share.open(&secret).map_err(|error| {
        Failure::new(Exit::Failure, format!("the half for {month}"))
            .because(&error)
            .hint("it is sealed to the share key of the agreement in force when the month closed")
    })?;
    let sealed = opened
        .seal(&to)
        .map_err(|error| Failure::new(Exit::Failure, "can't seal it").because(&error))?;
    signing::write_new(&args.output, &sealed.to_string())?;
    let (half, file) = (&opened.facts().half, args.output.display().to_string());
    if terminal.is_json() {
        terminal.json(&json!({
            "file": file,
            "month": month.to_string(),
            "half": half,
            "sealed_to": to.to_string(),
        }))?;
    } else {
        let line = format!(
            "{file}: the half of {half} for {month}, sealed to {}",
            to.name()
        );
        terminal.line(&line)?;
    }
    Ok(Exit::Ok)
}

/// The other authority's share key, as the agreement in force has it.
async fn other_key(whom: &Whom, auditor: &Auditor) -> Result<ShareKey, Failure> {
    let failed = |text: &str| Failure::new(Exit::Failure, text);
    let keys = authority_keys(whom)?;
    let [one, other] = keys.as_slice() else {
        let hint = "name them in the profile: [agreement] authority_vkeys, the telecom regulator's \
                    first";
        return Err(failed("the authorities' keys are not known here").hint(hint));
    };
    let authorities = Authorities::new(one.clone(), other.clone())
        .map_err(|error| failed("the authorities' keys").because(&error))?;
    let agreement = auditor.agreement().await?;
    let signed = SignedAgreement::open(&agreement.note, &authorities, None)
        .map_err(|error| failed("the agreement that the broker gave").because(&error))?;
    let ShareKeys {
        telecom_regulator,
        central_bank,
    } = signed.document().share_keys().clone();
    let own = auditor.party().org().as_str();
    let others = [telecom_regulator, central_bank];
    let mut others = others.into_iter().filter(|key| key.name() != own);
    match (others.next(), others.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(failed(&format!("{own} is neither of the two authorities"))),
    }
}

/// The half that the authority kept, and to whom it is to be sealed. The other authority's key comes
/// from the command line, so that it can be done with the broker gone.
async fn kept(
    whom: &Whom,
    args: &ShareArgs,
    month: Month,
    file: &Path,
    secret: &ShareSecret,
    terminal: &Terminal,
) -> Result<(SealedShare, ShareKey), Failure> {
    let named = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failure, format!("`{}`", file.display())).because(error)
    };
    let share = SealedShare::parse(&signing::read(file)?).map_err(|error| named(&error))?;
    if share.facts().month != month {
        let message = format!("`{}` is of {}", file.display(), share.facts().month);
        return Err(Failure::new(Exit::Usage, message));
    }
    let to = match &args.to {
        _ if args.own => secret.key().clone(),
        Some(text) => ShareKey::parse(text)
            .map_err(|error| Failure::new(Exit::Usage, "--to").because(&error))?,
        None => other_key(whom, &auditor(whom, terminal, "the agreement")?).await?,
    };
    Ok((share, to))
}
