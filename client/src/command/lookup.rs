//! `accord lookup`.

use std::time::Duration;

use accord_proto::{clock::SystemClock, purpose::Purpose};
use serde_json::Value as Json;

use super::{
    args::{self, Ask, Whom},
    exit::{Exit, Failure},
    json,
    signals::Asking,
    terminal::{Cell, Terminal},
    whom,
};
use crate::{
    Answered, Lookup,
    answer::RoutingBasis,
    profile::PartySection,
    random::hex,
    words::{Place, age_words, mood, outcome_words, question_words},
};

/// Asks about one number and prints what is told.
pub(super) async fn run(
    whom: &Whom,
    args: &args::Lookup,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let profile = whom::profile(whom)?;
    let party = whom::bank(&profile, whom)?;
    let purpose = purpose(&args.ask, party)?;
    whom::announce(terminal, party, &format!("purpose {purpose}"));
    let mut lookup = Lookup::about(&args.number, purpose);
    let asking = Asking::of(&args.ask)?;
    let usage = |rule: String| Failure::new(Exit::Usage, rule);
    for question in asking.questions(None).map_err(usage)? {
        lookup = lookup.question(question);
    }
    lookup = with_references(lookup, &args.ask, args.customer_ref.as_deref());
    if let Some(id) = &args.request_id {
        lookup = lookup.request_id(id);
    }
    if args.proof {
        lookup = lookup.with_proof();
    }
    let client = profile.client(party)?;
    let deadline = Duration::from_millis(args.deadline_ms);
    let answered = client.lookup_within(lookup, deadline).await?;
    if terminal.is_json() {
        let mut document = json::answered(&answered);
        if let Some(object) = document.as_object_mut() {
            let mut put = |key: &str, value: &str| {
                object.insert(key.to_owned(), Json::from(value));
            };
            put("asked_as", &party.name);
            put("number", &args.number);
            put("purpose", purpose.name());
        }
        terminal.json(&document)?;
    } else {
        print(&answered, &args.number, terminal)?;
    }
    Ok(exit_of(&answered))
}

/// The purpose of the command line, else the party's.
pub(super) fn purpose(ask: &Ask, party: &PartySection) -> Result<Purpose, Failure> {
    ask.purpose.or(party.purpose).ok_or_else(|| {
        let known: Vec<_> = Purpose::ALL.iter().map(|purpose| purpose.name()).collect();
        let known = known.join(", ");
        let message = format!("say why you ask, with --purpose: one of {known}");
        Failure::new(Exit::Usage, message)
    })
}

pub(super) fn with_references(mut lookup: Lookup, ask: &Ask, customer: Option<&str>) -> Lookup {
    if let Some(principal) = &ask.on_behalf_of {
        lookup = lookup.on_behalf_of(principal);
    }
    if let Some(reference) = &ask.consent_ref {
        lookup = lookup.consent_ref(reference);
    }
    if let Some(reference) = customer {
        lookup = lookup.customer_ref(reference);
    }
    lookup
}

/// Whether every signal has a value.
pub(super) fn exit_of(answered: &Answered) -> Exit {
    if answered
        .signals()
        .iter()
        .all(|signal| signal.value().is_some())
    {
        Exit::Ok
    } else {
        Exit::Unanswered
    }
}

/// How the operator was found. Where the bank may learn nothing it is not told either, however well
/// the operator is known.
fn routed_words(basis: Option<RoutingBasis>) -> String {
    basis.map_or_else(
        || "operator not told".to_owned(),
        |basis| format!("operator found by {}", basis.name()),
    )
}

fn print(answered: &Answered, number: &str, terminal: &mut Terminal) -> Result<(), Failure> {
    let now = SystemClock::shared().now();
    let answer = &answered.answer;
    let routed = routed_words(answer.routing_basis);
    terminal.line(&format!(
        "{number}   {routed}   agreement {} version {}",
        answer.agreement, answer.agreement_version
    ))?;
    let rows: Vec<Vec<Cell>> = answered
        .signals()
        .iter()
        .map(|signal| {
            let text = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
            vec![
                Cell::from(question_words(&signal.question)),
                Cell::of_mood(outcome_words(signal, Place::Line), mood(signal, now)),
                text(signal.observed_at.map(|at| age_words(at, now))),
                text(signal.clause.clone()),
                text(signal.source.map(|source| source.name().to_owned())),
            ]
        })
        .collect();
    terminal.table(&["signal", "answer", "observed", "clause", "source"], &rows)?;
    let receipt = &answered.receipt;
    terminal.line(&format!(
        "receipt: entry {} of {}, leaf hash {} ({})",
        receipt.index,
        receipt.origin,
        hex(&receipt.leaf_hash),
        receipt.assurance.words()
    ))?;
    if let Some(proof) = &receipt.proof {
        terminal.line("")?;
        terminal.line(proof.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_that_is_not_told_is_not_said_to_be_unknown() {
        assert_eq!(routed_words(None), "operator not told");
        assert_eq!(
            routed_words(Some(RoutingBasis::Ported)),
            "operator found by ported"
        );
    }
}
