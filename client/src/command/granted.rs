//! What the agreement in force grants: what to ask where the command line names no signal, and
//! which window a yes or no is about where the question names none.
//!
//! The broker decides by its own copy, whatever is read here; so the signatures don't matter, and
//! an agreement that can't be had or read is no reason not to ask.

use std::time::Duration;

use accord_proto::{
    agreement::{AgreementDocument, Clause, Thresholds},
    c2sp::SignedNote,
    party::OrgName,
    purpose::Purpose,
    signal::{Question, Signal},
};

use super::{
    args::Ask,
    exit::Failure,
    signals::{Asking, SWAP_HOURS, Wanted},
};
use crate::{Answer, Auditor, CallError, Outcome, Value};

/// The agreement in force.
#[derive(Debug)]
pub(super) struct Granted {
    document: AgreementDocument,
}

/// Who asks, why, and with what.
#[derive(Clone, Copy, Debug)]
struct Asker<'a> {
    bank: &'a OrgName,
    purpose: Purpose,
    principal: Option<&'a OrgName>,
    /// Whether questions come with a reference to a consent.
    consent: bool,
}

/// What a command line asks, and the agreement in force where something depends on it: the signals
/// where none is named, and the window of a swap where none is named. `consents`: numbers come with
/// a reference to a consent of their own.
pub(super) async fn asking(
    auditor: &Auditor,
    ask: &Ask,
    purpose: Purpose,
    consents: bool,
    deadline: Duration,
) -> Result<(Asking, Option<Granted>), Failure> {
    let named = match Asking::named(ask)? {
        Some(asking) if !asking.leaves_a_window_open() => return Ok((asking, None)),
        named => named,
    };
    let granted = Granted::fetch(auditor, deadline).await?;
    let principal = ask.on_behalf_of.as_deref();
    let principal = principal.and_then(|name| OrgName::parse(name).ok());
    let signals = || {
        let asker = Asker {
            bank: auditor.party().org(),
            purpose,
            principal: principal.as_ref(),
            consent: consents || ask.consent_ref.is_some(),
        };
        let granted = granted.as_ref();
        granted
            .map(|granted| granted.signals(asker))
            .unwrap_or_default()
    };
    let asking = named.unwrap_or_else(|| Asking::of_granted(ask, signals()));
    Ok((asking, granted))
}

impl Granted {
    /// Asks the broker for it. `None`: it tells none that this version can read.
    async fn fetch(auditor: &Auditor, deadline: Duration) -> Result<Option<Self>, CallError> {
        match auditor.agreement_within(deadline).await {
            Ok(agreement) => Ok(Self::read(&agreement.note)),
            Err(error @ (CallError::Unreachable { .. } | CallError::Deadline { .. })) => Err(error),
            Err(
                CallError::Refused(_)
                | CallError::Malformed(_)
                | CallError::Mistrusted(_)
                | CallError::Token(_),
            ) => Ok(None),
        }
    }

    fn read(note: &str) -> Option<Self> {
        let note = SignedNote::parse(note).ok()?;
        let document = AgreementDocument::parse(note.text()).ok()?;
        Some(Self { document })
    }

    /// The signals that some clause grants, of whichever operator: which one serves a number is
    /// for the broker to find out.
    fn signals(&self, asker: Asker<'_>) -> Vec<Wanted> {
        let of_signal = |signal: &Signal| {
            let clauses = self.document.clauses().iter();
            let granting: Vec<&Clause> = clauses
                .filter(|clause| clause.signals.contains(signal) && grants(clause, asker))
                .collect();
            (!granting.is_empty()).then(|| wanted(*signal, &granting))
        };
        Signal::ALL.iter().filter_map(of_signal).collect()
    }

    /// Where the clause offers one window and the question named none, the answer is about the
    /// clause's: it becomes the question's, so that words and JSON name it.
    pub(super) fn name_windows(&self, answer: &mut Answer) {
        let same = answer.agreement == self.document.id()
            && answer.agreement_version == self.document.version();
        if !same {
            return;
        }
        for signal in &mut answer.signals {
            let is_yes_no = matches!(
                signal.outcome,
                Outcome::Value {
                    value: Value::YesNo(_),
                    ..
                }
            );
            let mut clauses = self.document.clauses().iter();
            let clause =
                clauses.find(|clause| Some(clause.id.as_str()) == signal.clause.as_deref());
            let window = clause.and_then(|clause| clause.threshold_hours(None).ok()?);
            match &mut signal.question {
                Question::SimSwap { threshold_hours }
                | Question::DeviceSwap { threshold_hours } => {
                    if is_yes_no && threshold_hours.is_none() {
                        *threshold_hours = window;
                    }
                }
                Question::CallForwarding
                | Question::Roaming
                | Question::NumberRecycling { .. }
                | Question::Tenure { .. }
                | Question::SignallingAnomaly { .. } => {}
            }
        }
    }
}

fn grants(clause: &Clause, asker: Asker<'_>) -> bool {
    clause.banks.covers(Some(asker.bank))
        && clause.purposes.contains(&asker.purpose)
        && clause.permits_principal(asker.principal)
        && (asker.consent || !clause.needs_consent())
}

/// A signal, as the clauses that grant it let it be asked: as precisely as they allow, or with a
/// window where one of them wants one to be named.
fn wanted(signal: Signal, clauses: &[&Clause]) -> Wanted {
    let wants_window = |clause: &&&Clause| clause.threshold_hours(None).is_err();
    let threshold_hours =
        clauses
            .iter()
            .find(wants_window)
            .and_then(|clause| match &clause.thresholds {
                Thresholds::Offered(hours) if hours.contains(&SWAP_HOURS) => Some(SWAP_HOURS),
                Thresholds::Offered(hours) => hours.first().copied(),
                Thresholds::Any => Some(SWAP_HOURS),
                Thresholds::None => None,
            });
    match signal {
        Signal::SimSwap => Wanted::Whole(Question::SimSwap { threshold_hours }),
        Signal::DeviceSwap => Wanted::Whole(Question::DeviceSwap { threshold_hours }),
        Signal::CallForwarding => Wanted::Whole(Question::CallForwarding),
        Signal::Roaming => Wanted::Whole(Question::Roaming),
        Signal::NumberRecycling | Signal::Tenure | Signal::SignallingAnomaly => {
            Wanted::Since(signal)
        }
    }
}

#[cfg(test)]
mod tests {
    use accord_proto::reason::Reason;

    use super::*;
    use crate::SignalOutcome;

    const SAMPLE: &str = include_str!("../../../tests/samples/agreement.toml");

    fn granted() -> Granted {
        let document = AgreementDocument::parse(SAMPLE).unwrap();
        Granted { document }
    }

    fn asked(bank: &str, purpose: Purpose, consent: bool, principal: Option<&str>) -> Vec<Wanted> {
        let bank = OrgName::parse(bank).unwrap();
        let principal = principal.map(|name| OrgName::parse(name).unwrap());
        granted().signals(Asker {
            bank: &bank,
            purpose,
            principal: principal.as_ref(),
            consent,
        })
    }

    const fn sim_swap(threshold_hours: Option<u32>) -> Wanted {
        Wanted::Whole(Question::SimSwap { threshold_hours })
    }

    const fn device_swap(threshold_hours: Option<u32>) -> Wanted {
        Wanted::Whole(Question::DeviceSwap { threshold_hours })
    }

    #[test]
    fn what_is_granted_is_asked_as_the_clauses_want_it() {
        let (first, second) = ("first-bank", "second-bank");
        let tenure = Wanted::Since(Signal::Tenure);
        let recycling = Wanted::Since(Signal::NumberRecycling);
        let attack = Wanted::Since(Signal::SignallingAnomaly);
        let swaps = |hours| vec![sim_swap(hours), device_swap(hours)];
        for (bank, purpose, consent, expected) in [
            (first, Purpose::Login, false, swaps(Some(72))),
            (
                first,
                Purpose::Payment,
                false,
                vec![
                    sim_swap(None),
                    device_swap(Some(72)),
                    Wanted::Whole(Question::CallForwarding),
                    Wanted::Whole(Question::Roaming),
                    recycling,
                    attack,
                ],
            ),
            (first, Purpose::Complaint, false, swaps(None)),
            (first, Purpose::LimitChange, false, swaps(Some(72))),
            (
                first,
                Purpose::LimitChange,
                true,
                [swaps(Some(72)), vec![tenure]].concat(),
            ),
            (
                second,
                Purpose::Payment,
                false,
                vec![sim_swap(None), attack],
            ),
            (second, Purpose::DormantAccount, false, vec![recycling]),
            (second, Purpose::Login, false, vec![]),
            ("third-bank", Purpose::Payment, false, vec![]),
        ] {
            assert_eq!(
                asked(bank, purpose, consent, None),
                expected,
                "{bank} {purpose}"
            );
        }
        let for_shop = |shop| asked(second, Purpose::OtpSend, false, Some(shop));
        assert_eq!(for_shop("shop-a"), [sim_swap(None)]);
        assert_eq!(for_shop("shop-b"), []);
    }

    fn told(clause: &str, threshold_hours: Option<u32>, outcome: Outcome) -> SignalOutcome {
        SignalOutcome {
            question: Question::SimSwap { threshold_hours },
            outcome,
            clause: Some(clause.to_owned()),
            observed_at: None,
            source: None,
            customer_lock: false,
        }
    }

    fn windows(agreement: &str, signals: Vec<SignalOutcome>) -> Vec<Option<u32>> {
        let mut answer = Answer {
            answered_at: "2026-11-21T12:00:00Z".parse().unwrap(),
            agreement: agreement.to_owned(),
            agreement_version: 1,
            routing_basis: None,
            routing_as_of: None,
            signals,
            request_id: String::new(),
        };
        granted().name_windows(&mut answer);
        let signals = answer.signals.iter();
        signals
            .map(|signal| signal.question.threshold_hours())
            .collect()
    }

    #[test]
    fn a_yes_or_no_without_a_window_is_about_the_only_one_of_its_clause() {
        let yes = || Outcome::Value {
            value: Value::YesNo(true),
            swap_kind: None,
            attack_kind: None,
        };
        let unanswered = Outcome::Unanswered {
            reason: Reason::Timeout,
            detail: String::new(),
        };
        let signals = || {
            vec![
                told("4.1", None, yes()),
                told("4.1", Some(24), yes()),
                told("2.1", None, yes()),
                told("4.1", None, unanswered.clone()),
                told("9.9", None, yes()),
            ]
        };
        let named = [Some(72), Some(24), None, None, None];
        assert_eq!(windows("SANDBOX-2026-1", signals()), named);
        let other = windows("ANOTHER", signals());
        assert_eq!(other, [None, Some(24), None, None, None]);
    }
}
