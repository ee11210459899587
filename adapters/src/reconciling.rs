//! `accord-adapter reconcile`.

use std::{
    io::{self, Write as _},
    path::Path,
};

use accord_adapters::{
    config::AdapterConfig,
    reconcile::{self, Reconciled, Scope},
};
use jiff::Timestamp;

use crate::commands::Failure;

pub(crate) fn reconcile(
    path: &Path,
    export: &Path,
    broker: Option<&str>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<(), Failure> {
    let config = AdapterConfig::load(path)?;
    let brokers = &config.brokers;
    match broker {
        None if brokers.len() > 1 => {
            let rule = "the configuration has several; say whose ledger this is";
            return Err(Failure::Broker(rule));
        }
        Some(broker) if brokers.iter().all(|one| one.endpoint != broker) => {
            return Err(Failure::Broker("is none of the configuration's"));
        }
        Some(_) | None => {}
    }
    let reconciled = reconcile::reconcile(&Scope {
        operator: config.operator.as_str(),
        instance: &config.instance,
        journal_dir: &config.journal.dir,
        journal_key: &config.checkpoint_verifier()?,
        export,
        broker,
        from,
        until,
    })?;
    print(&config, &reconciled)?;
    match reconciled.differences.len() {
        0 => Ok(()),
        differences => Err(Failure::Differences(differences)),
    }
}

/// What was counted, and in which words it is told.
const fn counts(reconciled: &Reconciled) -> [(u64, &'static str); 15] {
    [
        (
            reconciled.entries,
            "entries of the ledger about the operator",
        ),
        (reconciled.matched, "replies alike in both"),
        (
            reconciled.from_view,
            "answers from the broker's view, on the record and reported",
        ),
        (
            reconciled.grounded,
            "signals from the view, on what this instance said",
        ),
        (
            reconciled.pushed_since,
            "of these on what was said before a later push, which may have said the same",
        ),
        (reconciled.pushed, "pushed batches alike in both"),
        (
            reconciled.heads,
            "heads of the journal at attachments, alike",
        ),
        (
            reconciled.unused,
            "replies that nobody used: too late, or beside another instance's",
        ),
        (
            reconciled.unacknowledged,
            "pushed batches that were not acknowledged, and were sent again or will be",
        ),
        (
            reconciled.without_digest,
            "batches on the record without a digest: of an adapter of an older version",
        ),
        (
            reconciled.subject_reports,
            "replies for reports to subjects",
        ),
        (
            reconciled.reported_elsewhere,
            "answers from the view, reported to another instance or to none",
        ),
        (
            reconciled.grounded_elsewhere,
            "signals from the view, on what another instance said",
        ),
        (
            reconciled.no_longer_kept,
            "entries about records that the journal no longer keeps",
        ),
        (
            reconciled.outside,
            "records outside of that time, or at its edge",
        ),
    ]
}

fn print(config: &AdapterConfig, reconciled: &Reconciled) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for difference in &reconciled.differences {
        writeln!(out, "difference: {difference}")?;
    }
    let Reconciled {
        journal,
        from,
        until,
        ..
    } = reconciled;
    writeln!(
        out,
        "{} instance {}, {from:.0} to {until:.0}",
        config.operator, config.instance
    )?;
    writeln!(
        out,
        "journal: records {} to {}, verified, signed up to {}",
        journal.first, journal.head.size, journal.signed
    )?;
    for (count, what) in counts(reconciled) {
        if count > 0 {
            writeln!(out, "{count:>9} {what}")?;
        }
    }
    match reconciled.differences.len() {
        0 => writeln!(out, "no difference"),
        differences => writeln!(out, "{differences} difference(s)"),
    }
}
