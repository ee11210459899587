//! Legal holds on a month, and shredding: acts that an authority signs with its own key.

use accord_proto::{
    clock::SystemClock,
    shares::{KeyRequest, RequestKind, case_reference},
    v1::{self, key_month::State},
};

use super::{
    args::Signed,
    months::{month_json, org},
};
use crate::command::{
    args::{Stating, Whom},
    audit::auditor,
    exit::{Exit, Failure},
    signing,
    terminal::Terminal,
};

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
        State::Held | State::Split | State::Lost | State::Unspecified => {
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
    // The key says which authority acts; its certificate is that of the same name.
    let own = Whom {
        party: whom.party.clone().or_else(|| Some(name.clone())),
        ..whom.clone()
    };
    let auditor = auditor(&own, terminal, &what)?;
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
