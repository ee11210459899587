//! What an entry can be found by: terms such as `bank:first-bank` or `outcome:answered`, and the
//! tags of the subjects that it names.

use std::fmt::Write as _;

use accord_proto::{
    entry::{kind, outcome},
    party::{PartyId, Role},
    purpose::Purpose,
    reason::Reason,
    signal::Signal,
    v1::{self, entry::Event},
};

use crate::remit::{Sight, sides};

/// The term that stands for all that a reader may see; `None`: it sees everything. It may stand for
/// a little more, so each entry found is looked at again.
pub(crate) fn of_sight(sight: &Sight) -> Option<String> {
    match sight {
        Sight::All => None,
        Sight::Banks => Some("side:banks".to_owned()),
        Sight::Operators => Some("side:operators".to_owned()),
        Sight::Own(party) => Some(of_party(party)),
    }
}

fn of_party(party: &PartyId) -> String {
    let what = match party.role() {
        Role::Bank => "bank",
        Role::Operator => "operator",
        Role::Authority => "authority",
        Role::Broker => "broker",
    };
    format!("{what}:{}", party.org())
}

/// Shows each term of an event, some perhaps twice. `buffer` is used again and again.
pub(crate) fn each_term(event: &Event, buffer: &mut String, mut each: impl FnMut(&str)) {
    let mut term = |what: &str, name: &str| {
        buffer.clear();
        // Writing into a text can't fail.
        let _ = write!(buffer, "{what}:{name}");
        each(buffer);
    };
    term("kind", kind(event));
    let sides = sides(event);
    if sides.banks {
        term("side", "banks");
    }
    if sides.operators {
        term("side", "operators");
    }
    match event {
        Event::Access(access) => of_access(access, &mut term),
        Event::RefusedCall(call) => of_caller(&call.party, true, &mut term),
        Event::RefusalCount(count) => of_caller(&count.party, true, &mut term),
        Event::AuditRead(read) => of_caller(&read.party, false, &mut term),
        Event::Export(export) => of_caller(&export.party, false, &mut term),
        Event::AdapterLink(link) => term("operator", &link.operator),
        Event::SourceChanges(changes) => {
            term("operator", &changes.operator);
            for subject in &changes.subjects {
                of_signal(subject.signal, &mut term);
            }
        }
        Event::Anomaly(anomaly) if !anomaly.bank.is_empty() => term("bank", &anomaly.bank),
        Event::AgreementAct(act) => of_caller(&act.party, false, &mut term),
        Event::KeyAct(act) => of_caller(&act.party, false, &mut term),
        Event::Anomaly(_)
        | Event::LogOpened(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_) => {}
    }
}

fn of_access(access: &v1::Access, term: &mut impl FnMut(&str, &str)) {
    term("bank", &access.bank);
    if !access.operator.is_empty() {
        term("operator", &access.operator);
    }
    if let Some(purpose) = Purpose::from_wire(access.purpose) {
        term("purpose", purpose.name());
    }
    for record in &access.signals {
        of_signal(record.signal, term);
        if !record.clause.is_empty() {
            term("clause", &record.clause);
        }
        // None: answered, or a reason of a newer version, by which nothing can be searched.
        if let Some(reason) = Reason::from_wire(record.reason) {
            term("reason", reason.name());
        }
    }
    term("outcome", outcome(access));
}

fn of_signal(number: i32, term: &mut impl FnMut(&str, &str)) {
    if let Some(signal) = Signal::from_wire(number) {
        term("signal", signal.name());
    }
}

fn of_caller(id: &str, refused: bool, term: &mut impl FnMut(&str, &str)) {
    if let Ok(party) = PartyId::parse(id)
        && let Some((what, name)) = of_party(&party).split_once(':')
    {
        term(what, name);
    }
    if refused {
        term("outcome", "refused");
    }
}

/// The tags of the subjects that an event names.
pub(crate) fn tags(event: &Event) -> Vec<&[u8]> {
    let mut tags: Vec<&[u8]> = match event {
        Event::Access(access) => vec![&access.subject_tag],
        Event::SourceChanges(changes) => {
            let subjects = changes.subjects.iter();
            subjects
                .map(|subject| subject.subject_tag.as_slice())
                .collect()
        }
        Event::Anomaly(anomaly) => vec![&anomaly.subject_tag],
        Event::KeyAct(act) => vec![&act.subject_tag],
        Event::LogOpened(_)
        | Event::RefusedCall(_)
        | Event::RefusalCount(_)
        | Event::AuditRead(_)
        | Event::DocumentLoaded(_)
        | Event::Operation(_)
        | Event::AdapterLink(_)
        | Event::Export(_)
        | Event::AgreementAct(_) => Vec::new(),
    };
    tags.retain(|tag| !tag.is_empty());
    tags.sort_unstable();
    tags.dedup();
    tags
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn terms(event: &Event) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        each_term(event, &mut String::new(), |term| {
            found.insert(term.to_owned());
        });
        found
    }

    fn set<const N: usize>(terms: [&str; N]) -> BTreeSet<String> {
        terms.map(str::to_owned).into()
    }

    fn record(signal: v1::Signal, reason: v1::Reason, clause: &str) -> v1::SignalRecord {
        v1::SignalRecord {
            signal: signal as i32,
            reason: reason as i32,
            clause: clause.to_owned(),
            ..v1::SignalRecord::default()
        }
    }

    #[test]
    fn an_access_is_found_by_all_that_a_filter_can_ask() {
        let access = Event::Access(v1::Access {
            bank: "first-bank".to_owned(),
            operator: "north-mobile".to_owned(),
            purpose: v1::Purpose::Payment as i32,
            subject_tag: vec![7; 16],
            signals: vec![
                record(v1::Signal::SimSwap, v1::Reason::Unspecified, "3.1"),
                record(v1::Signal::Roaming, v1::Reason::Quota, "3.4"),
            ],
            ..v1::Access::default()
        });
        let expected = [
            "bank:first-bank",
            "clause:3.1",
            "clause:3.4",
            "kind:access",
            "operator:north-mobile",
            "outcome:partly_answered",
            "purpose:payment",
            "reason:quota",
            "side:banks",
            "side:operators",
            "signal:roaming",
            "signal:sim_swap",
        ];
        assert_eq!(terms(&access), set(expected));
        assert_eq!(tags(&access), [[7; 16]]);
    }

    #[test]
    fn a_refused_call_is_found_by_who_was_refused() {
        let call = Event::RefusedCall(v1::RefusedCall {
            party: "spiffe://accord.test/operator/north-mobile".to_owned(),
            ..v1::RefusedCall::default()
        });
        let expected = [
            "kind:refused_call",
            "operator:north-mobile",
            "outcome:refused",
            "side:operators",
        ];
        assert_eq!(terms(&call), set(expected));
        assert!(tags(&call).is_empty());
    }

    #[test]
    fn pushed_changes_are_found_by_each_subject_once() {
        let subject = |byte| v1::ChangedSubject {
            subject_tag: vec![byte; 16],
            signal: v1::Signal::SimSwap as i32,
            withdrawn: false,
        };
        let changes = Event::SourceChanges(v1::SourceChanges {
            operator: "north-mobile".to_owned(),
            subjects: vec![subject(2), subject(1), subject(2)],
            ..v1::SourceChanges::default()
        });
        assert_eq!(tags(&changes), [[1; 16], [2; 16]]);
        assert!(terms(&changes).contains("signal:sim_swap"));
    }
}
