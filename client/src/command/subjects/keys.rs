//! Months' keys: what became of them, one's own half, legal holds, and shredding.

use accord_proto::{
    agreement::{ShareKeys, SignedAgreement},
    clock::SystemClock,
    document::Authorities,
    shares::{KeyRequest, RequestKind, ShareKey, case_reference},
    v1::{self, key_month::State},
};
use serde_json::{Value as Json, json};

use super::{
    args::{ShareArgs, Signed},
    month,
};
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

/// `accord audit months`.
pub(super) async fn months(auditor: &Auditor, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let months = auditor.key_months().await?;
    if terminal.is_json() {
        let months: Vec<_> = months.iter().map(month_json).collect();
        terminal.json(&json!({ "months": months }))?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = months
        .iter()
        .map(|month| {
            vec![
                month.month.clone().into(),
                state_words(month.state()).into(),
                org(&month.hold_by).to_owned().into(),
                asked_words(month).into(),
            ]
        })
        .collect();
    terminal.table(&["month", "key", "legal hold by", "asked for"], &rows)?;
    Ok(Exit::Ok)
}

const fn state_words(state: State) -> &'static str {
    match state {
        State::Held => "held by the broker",
        State::Split => "split between the authorities",
        State::Shredded => "destroyed",
        State::Unspecified => "unknown",
    }
}

/// The organisation of a SPIFFE id.
fn org(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or_default()
}

fn asked_words(month: &v1::KeyMonth) -> String {
    let asked = |what: &str, by: &[String]| {
        let by: Vec<_> = by.iter().map(|id| org(id)).collect();
        (!by.is_empty()).then(|| format!("{what} by {}", by.join(" and ")))
    };
    let asked = [
        asked("lifting", &month.lift_asked_by),
        asked("shredding", &month.shred_asked_by),
    ];
    asked.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn month_json(month: &v1::KeyMonth) -> Json {
    json!({
        "month": month.month,
        "state": match month.state() {
            State::Held => "held",
            State::Split => "split",
            State::Shredded => "shredded",
            State::Unspecified => "unknown",
        },
        "hold_by": (!month.hold_by.is_empty()).then_some(&month.hold_by),
        "lift_asked_by": month.lift_asked_by,
        "shred_asked_by": month.shred_asked_by,
    })
}

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
    let auditor = reader(whom, stating, terminal, &format!("the half for {month}"))?;
    let to = match args.own {
        true => secret.key().clone(),
        false => other_key(whom, &auditor).await?,
    };
    let share = auditor.key_share(month).await?;
    let opened = share.open(&secret).map_err(|error| {
        Failure::new(Exit::Failure, "the half that the broker gave")
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

/// `accord audit hold`.
pub(super) async fn hold(
    whom: &Whom,
    stating: &Stating,
    month: &str,
    lift: bool,
    signed: &Signed,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let kind = match lift {
        true => RequestKind::Lift,
        false => RequestKind::Hold,
    };
    let after = act(whom, stating, kind, month, signed, terminal).await?;
    let month = &after.month;
    let line = match (lift, after.hold_by.as_str()) {
        (false, by) => format!("{month} is under a legal hold, set by {}", org(by)),
        (true, "") => format!("the legal hold on {month} is lifted"),
        (true, by) => format!(
            "asked; {month} stays under the legal hold of {} until the other authority asks as well",
            org(by)
        ),
    };
    told(&after, &line, terminal)
}

/// `accord audit shred`.
pub(super) async fn shred(
    whom: &Whom,
    stating: &Stating,
    month: &str,
    signed: &Signed,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let after = act(whom, stating, RequestKind::Shred, month, signed, terminal).await?;
    let month = &after.month;
    let line = match after.state() {
        State::Shredded => format!("{month} is shredded: nobody finds a subject in it any more"),
        State::Held | State::Split | State::Unspecified => {
            format!("asked; {month} is shredded once the other authority asks as well")
        }
    };
    told(&after, &line, terminal)
}

fn told(month: &v1::KeyMonth, line: &str, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match terminal.is_json() {
        true => terminal.json(&month_json(month))?,
        false => terminal.line(line)?,
    }
    Ok(Exit::Ok)
}

async fn act(
    whom: &Whom,
    stating: &Stating,
    kind: RequestKind,
    month: &str,
    signed: &Signed,
    terminal: &Terminal,
) -> Result<v1::KeyMonth, Failure> {
    let month = super::month(month)?;
    let case = stating.case.as_deref().ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "--case is required: it goes on the record with the act",
        )
    })?;
    let case =
        case_reference(case).map_err(|rule| Failure::new(Exit::Usage, format!("--case {rule}")))?;
    let key = signing::signing_key(&signed.key)?;
    let name = key.verifier().name().to_owned();
    let what = format!("{} {month}, signed with the key of {name}", kind.name());
    let auditor = auditor(whom, terminal, &what)?;
    let ledger = auditor.ledger_name().await?;
    let asked = KeyRequest {
        ledger,
        kind,
        month,
        case,
        at: SystemClock::shared().now(),
    };
    let acted = auditor.act_on_key(&asked, &key).await?;
    acted
        .month
        .ok_or_else(|| Failure::new(Exit::Failure, "the broker did not say what became of it"))
}
