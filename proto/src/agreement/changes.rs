//! What one agreement changes of another: permissions first, then the words of the clauses and the
//! heading.

use std::collections::BTreeMap;

use super::{AgreementDocument, Clause, Row, explain, mirrors};

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Only the new one has it: more is allowed.
    Added,
    /// Only the old one has it: less is allowed.
    Removed,
    /// Both have it, each in its way.
    Changed,
}

impl Turn {
    /// `+`, `-` or `~`.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which kind.
    pub turn: Turn,
    /// Of what: `first-bank asks north-mobile for payment: sim_swap`, `clause 3.1, text`, `title`.
    pub what: String,
    /// As the old one has it; empty where it has none.
    pub was: String,
    /// As the new one has it; empty where it has none.
    pub is: String,
}

/// How many of a row's cells say which permission it is.
const KEY_CELLS: usize = 4;

/// Everything in which two agreements differ.
#[must_use]
pub fn changes(old: &AgreementDocument, new: &AgreementDocument) -> Vec<Change> {
    let mut found = Vec::new();
    compare(&permissions(old), &permissions(new), &mut found);
    compare(&clauses(old), &clauses(new), &mut found);
    compare(&heading(old), &heading(new), &mut found);
    found
}

/// Facts by what they are about; each fact has parts with their own names.
type Facts = BTreeMap<String, Vec<(&'static str, String)>>;

fn permissions(document: &AgreementDocument) -> Facts {
    let rows = explain(document);
    let fact = |row: &Row<'_>| {
        let cells = row.cells();
        let [bank, operator, purpose, signal, terms @ ..] = cells;
        let names = Row::HEADINGS.iter().skip(KEY_CELLS).copied();
        (
            format!("{bank} asks {operator} for {purpose}: {signal}"),
            names.zip(terms).collect(),
        )
    };
    rows.iter().map(fact).collect()
}

fn clauses(document: &AgreementDocument) -> Facts {
    let fact = |clause: &Clause| {
        let principals: Vec<_> = clause
            .on_behalf_of
            .iter()
            .map(ToString::to_string)
            .collect();
        let legal_basis = format!("{}, {}", clause.legal_basis.name(), clause.basis_reference);
        let parts = vec![
            ("title", clause.title.clone()),
            ("text", clause.text.trim().to_owned()),
            ("legal basis", legal_basis),
            ("on behalf of", principals.join(", ")),
            ("opt-out honoured", clause.opt_out_honoured.to_string()),
            ("kept for", format!("{} days", clause.retention_days)),
        ];
        (format!("clause {}", clause.id), parts)
    };
    document.clauses().iter().map(fact).collect()
}

fn heading(document: &AgreementDocument) -> Facts {
    let term = document.term();
    let grace = document.witness_grace().as_hours();
    let shares = document.share_keys();
    let parts = vec![
        ("id", document.id().to_owned()),
        ("version", document.version().to_string()),
        ("title", document.title().to_owned()),
        ("effective", term.effective().to_string()),
        ("expires", term.expires().to_string()),
        (
            "telecom regulator",
            document.telecom_regulator().to_string(),
        ),
        ("central bank", document.central_bank().to_string()),
        ("without witnesses for", format!("{grace} h")),
        ("whole copies of the ledger", mirrors(document)),
        (
            "halves of keys, telecom regulator",
            shares.telecom_regulator.to_string(),
        ),
        (
            "halves of keys, central bank",
            shares.central_bank.to_string(),
        ),
    ];
    Facts::from([("agreement".to_owned(), parts)])
}

fn compare(old: &Facts, new: &Facts, found: &mut Vec<Change>) {
    let said = |parts: &[(&str, String)]| {
        let parts = parts
            .iter()
            .filter(|(_, value)| value != "-" && !value.is_empty());
        let parts: Vec<_> = parts
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        parts.join("; ")
    };
    for (what, was) in old {
        let Some(is) = new.get(what) else {
            found.push(Change {
                turn: Turn::Removed,
                what: what.clone(),
                was: said(was),
                is: String::new(),
            });
            continue;
        };
        let differing = was.iter().zip(is).filter(|(was, is)| was != is);
        found.extend(differing.map(|((name, was), (_, is))| Change {
            turn: Turn::Changed,
            what: format!("{what}, {name}"),
            was: was.clone(),
            is: is.clone(),
        }));
    }
    let added = new.iter().filter(|(what, _)| !old.contains_key(*what));
    found.extend(added.map(|(what, is)| Change {
        turn: Turn::Added,
        what: what.clone(),
        was: String::new(),
        is: said(is),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../tests/samples/agreement.toml");

    fn parse(text: &str) -> AgreementDocument {
        AgreementDocument::parse(text).unwrap()
    }

    #[test]
    fn an_agreement_changes_nothing_of_itself() {
        assert_eq!(changes(&parse(SAMPLE), &parse(SAMPLE)), []);
    }

    #[test]
    fn what_is_told_more_coarsely_no_longer_or_anew_is_named() {
        let old = SAMPLE.replacen("version = 1\n", "version = 2\n", 1);
        let new = old
            .replacen("granularity = \"band\"", "granularity = \"yes_no\"", 1)
            .replacen(
                "purposes = [\"add_payee\", \"limit_change\"]",
                "purposes = [\"add_payee\"]",
                1,
            )
            .replacen("title = \"Change of SIM", "title = \"Changes of SIM", 1);
        let found = changes(&parse(&old), &parse(&new));
        let has = |found: &[Change], turn, what: &str, was: &str, is: &str| {
            found.iter().any(|change| {
                change.turn == turn
                    && change.what.contains(what)
                    && change.was.contains(was)
                    && change.is.contains(is)
            })
        };
        let (added, removed) = (Turn::Added, Turn::Removed);
        assert!(has(
            &found,
            Turn::Changed,
            "how precisely",
            "band",
            "yes_no"
        ));
        assert!(has(
            &found,
            removed,
            "for limit_change: sim_swap",
            "clause",
            ""
        ));
        assert!(has(
            &found,
            Turn::Changed,
            "clause 2.1, title",
            "Change",
            "Changes"
        ));
        assert!(found.iter().all(|change| change.turn != added));
        let back = changes(&parse(&new), &parse(&old));
        assert_eq!(back.len(), found.len());
        assert!(has(
            &back,
            added,
            "for limit_change: sim_swap",
            "",
            "clause"
        ));
        assert!(back.iter().all(|change| change.turn != removed));
    }
}
