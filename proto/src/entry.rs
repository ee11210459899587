//! The words by which entries of the ledger are named and searched: their kinds, and what came of a
//! question. Broker and client must agree on them, since a `Filter` carries them as text.

use crate::v1::{self, entry::Event};

/// Every kind of entry, as `Filter.kind` has it.
pub const KINDS: [&str; 13] = [
    "access",
    "refused_call",
    "refusal_count",
    "audit_read",
    "document_loaded",
    "operation",
    "adapter_link",
    "source_changes",
    "export",
    "anomaly",
    "agreement_act",
    "key_act",
    "log_opened",
];

/// What became of a question or a call as a whole, as `Filter.outcome` has it beside the reasons.
pub const OUTCOMES: [&str; 4] = ["answered", "partly_answered", "unanswered", "refused"];

/// The kind of an event, one of [`KINDS`].
#[must_use]
pub const fn kind(event: &Event) -> &'static str {
    match event {
        Event::Access(_) => "access",
        Event::RefusedCall(_) => "refused_call",
        Event::RefusalCount(_) => "refusal_count",
        Event::AuditRead(_) => "audit_read",
        Event::DocumentLoaded(_) => "document_loaded",
        Event::Operation(_) => "operation",
        Event::AdapterLink(_) => "adapter_link",
        Event::SourceChanges(_) => "source_changes",
        Event::Export(_) => "export",
        Event::Anomaly(_) => "anomaly",
        Event::AgreementAct(_) => "agreement_act",
        Event::KeyAct(_) => "key_act",
        Event::LogOpened(_) => "log_opened",
    }
}

/// What came of a question: `answered` (every signal), `partly_answered` or `unanswered`. A reason
/// of a newer version is no answer.
#[must_use]
pub fn outcome(access: &v1::Access) -> &'static str {
    let answered = access.signals.iter().filter(|signal| signal.reason == 0);
    match (answered.count(), access.signals.len()) {
        (0, _) => "unanswered",
        (answered, all) if answered == all => "answered",
        _ => "partly_answered",
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn pushed(entry: &str) -> v1::SourceChanges {
        let bytes = hex(entry);
        let entry = v1::Entry::decode(bytes.as_slice()).unwrap();
        assert_eq!(entry.encode_to_vec(), bytes, "nothing is lost");
        let Some(Event::SourceChanges(changes)) = entry.event else {
            panic!("another event");
        };
        changes
    }

    fn hex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        pairs.map(byte).collect()
    }

    #[test]
    fn what_was_pushed_before_there_were_digests_is_read_as_without_one() {
        let changes = pushed(&[
            "0a20030303030303030303030303030303030303030303030303030303030303030352290a0c6e6f7274682d",
            "6d6f62696c65120161180922140a10050505050505050505050505050505051001c13e00422fc59a010000",
        ].concat());
        assert_eq!((changes.instance.as_str(), changes.sequence), ("a", 9));
        assert_eq!((changes.digest.len(), changes.journal_index), (0, 0));
        assert!(!changes.subjects[0].withdrawn);
    }

    #[test]
    fn what_was_pushed_lies_byte_for_byte_as_it_always_will() {
        let changes = pushed(&[
            "0a20030303030303030303030303030303030303030303030303030303030303030352650a0c6e6f7274682d",
            "6d6f62696c65120161180922140a1005050505050505050505050505050505100122160a1005050505050505",
            "050505050505050505100118012a200707070707070707070707070707070707070707070707070707070707",
            "0707073046c13e00422fc59a010000",
        ].concat());
        assert_eq!(changes.digest, [7; 32]);
        assert_eq!((changes.sequence, changes.journal_index), (9, 70));
        let withdrawn = changes.subjects.iter().map(|one| one.withdrawn);
        assert_eq!(withdrawn.collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_batch_as_bytes_lies_on_the_wire_as_the_message_itself() {
        let batch = v1::ChangeBatch {
            sequence: 9,
            ..v1::ChangeBatch::default()
        };
        let sent = v1::AdapterMessage {
            message: Some(v1::adapter_message::Message::Changes(
                batch.encode_to_vec().into(),
            )),
        };
        // Field 6, a message of two bytes: its field 1 is 9.
        assert_eq!(sent.encode_to_vec(), [0x32, 2, 0x08, 9]);
    }
}
