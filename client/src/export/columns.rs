//! An entry as a row: the columns that CSV and Parquet share.

use accord_proto::v1::{self, entry::Event};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{LedgerEntry, entry_view, random::hex};

/// The columns, in this order.
pub const NAMES: [&str; 20] = [
    "origin",
    "index",
    "time",
    "kind",
    "outcome",
    "bank",
    "operator",
    "application",
    "on_behalf_of",
    "purpose",
    "agreement",
    "signals",
    "subject_tag",
    "tag_month",
    "bulk",
    "elapsed_us",
    "party",
    "summary",
    "leaf_hash",
    "leaf",
];

/// Where the columns that a reader needs stand.
pub(super) const ORIGIN: usize = 0;
pub(super) const INDEX: usize = 1;
pub(super) const KIND: usize = 3;
pub(super) const SUMMARY: usize = 17;
pub(super) const LEAF: usize = 19;

/// A row, in the order of [`NAMES`].
pub type Row = [String; NAMES.len()];

/// An entry as a row. `agreement` is `ID/VERSION`; `signals` has `signal:status:clause` with `;`
/// between them; `party` is who acted, where that is not a bank that asked.
#[must_use]
pub fn row(entry: &LedgerEntry) -> Row {
    let mut row = Row::default();
    let [
        origin,
        index,
        time,
        kind,
        outcome,
        bank,
        operator,
        application,
        on_behalf_of,
        purpose,
        agreement,
        signals,
        subject_tag,
        tag_month,
        bulk,
        elapsed_us,
        party,
        summary,
        leaf_hash,
        leaf,
    ] = &mut row;
    origin.clone_from(&entry.origin);
    *index = entry.index.to_string();
    *time = entry_view::time(entry);
    entry_view::kind(entry).clone_into(kind);
    *summary = entry_view::summary(entry);
    *leaf_hash = hex(&entry.leaf_hash());
    *leaf = STANDARD.encode(&entry.bytes);
    match entry.entry.event.as_ref() {
        Some(Event::Access(access)) => {
            entry_view::outcome(access).clone_into(outcome);
            bank.clone_from(&access.bank);
            operator.clone_from(&access.operator);
            application.clone_from(&access.application);
            on_behalf_of.clone_from(&access.on_behalf_of);
            entry_view::purpose_name(access.purpose).clone_into(purpose);
            *agreement = format!("{}/{}", access.agreement, access.agreement_version);
            *signals = signal_list(&access.signals);
            *subject_tag = hex(&access.subject_tag);
            tag_month.clone_from(&access.tag_month);
            *bulk = access.bulk.to_string();
            *elapsed_us = access.elapsed_us.to_string();
        }
        Some(event) => {
            if let Some(bank_of) = entry_view::bank(event) {
                bank_of.clone_into(bank);
            }
            if let Some(operator_of) = entry_view::operator(event) {
                operator_of.clone_into(operator);
            }
            if let Some(party_of) = entry_view::party(event) {
                party_of.clone_into(party);
            }
            if matches!(event, Event::RefusedCall(_) | Event::RefusalCount(_)) {
                "refused".clone_into(outcome);
            }
        }
        None => {}
    }
    row
}

fn signal_list(signals: &[v1::SignalRecord]) -> String {
    let told = signals.iter().map(|signal| {
        format!(
            "{}:{}:{}",
            entry_view::signal_name(signal.signal),
            entry_view::status(signal.reason),
            signal.clause
        )
    });
    told.collect::<Vec<_>>().join(";")
}
