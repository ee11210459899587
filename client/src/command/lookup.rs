//! `accord lookup`.

use std::time::Duration;

use accord_proto::{clock::SystemClock, purpose::Purpose, signal::Question};
use jiff::Timestamp;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::{
    args::{self, Ask, Whom},
    exit::{Exit, Failure},
    granted, json,
    signals::Asking,
    terminal::{Cell, Terminal},
    whom,
};
use crate::{
    Answered, CallError, Lookup,
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
    let about = about(args, purpose);
    check(args, about.clone())?;
    let client = profile.client(party)?;
    let deadline = Duration::from_millis(args.deadline_ms);
    let began = Instant::now();
    let (asking, granted) =
        granted::asking(client.auditor(), &args.ask, purpose, false, deadline).await?;
    let words = asking.words();
    whom::announce(terminal, party, &format!("purpose {purpose}: {words}"));
    if let Some(rule) = asking.lacks_since(&[]) {
        return Err(Failure::new(Exit::Usage, rule));
    }
    let questions = asking.questions(&[]).map_err(usage)?;
    let lookup = questions.into_iter().fold(about, Lookup::question);
    let left = deadline.saturating_sub(began.elapsed());
    let mut answered = client.lookup_within(lookup, left).await?;
    if let Some(granted) = granted {
        granted.name_windows(&mut answered.answer);
    }
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

/// The question, without its signals.
fn about(args: &args::Lookup, purpose: Purpose) -> Lookup {
    let about = Lookup::about(&args.number, purpose);
    let mut about = with_references(about, &args.ask, args.customer_ref.as_deref());
    if let Some(id) = &args.request_id {
        about = about.request_id(id);
    }
    if args.proof {
        about = about.with_proof();
    }
    about
}

/// Finds the mistakes of the command line before a broker is called.
fn check(args: &args::Lookup, about: Lookup) -> Result<(), Failure> {
    let questions = match Asking::named(&args.ask)? {
        Some(asking) => asking.questions(&[]).map_err(usage)?,
        // Any signal will do here.
        None => vec![Question::Roaming],
    };
    let lookup = questions.into_iter().fold(about, Lookup::question);
    lookup
        .check(&SystemClock::shared())
        .map_err(CallError::from)?;
    Ok(())
}

fn usage(rule: String) -> Failure {
    Failure::new(Exit::Usage, rule)
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
fn routed_words(basis: Option<RoutingBasis>, as_of: Option<Timestamp>, now: Timestamp) -> String {
    let Some(basis) = basis else {
        return "operator not told".to_owned();
    };
    let (found, known) = match basis {
        RoutingBasis::Enum => ("by ENUM", "as of"),
        RoutingBasis::Ported => ("among the ported numbers", "as of"),
        RoutingBasis::Prefix => ("by the number's range", "not ported as of"),
    };
    let known = as_of.map_or_else(String::new, |at| {
        format!(", {known} {}", age_words(at, now))
    });
    format!("operator found {found}{known}")
}

fn print(answered: &Answered, number: &str, terminal: &mut Terminal) -> Result<(), Failure> {
    let now = SystemClock::shared().now();
    let answer = &answered.answer;
    let routed = routed_words(answer.routing_basis, answer.routing_as_of, now);
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
    fn how_an_operator_was_found_is_a_phrase_and_one_not_told_is_not_called_unknown() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let words = |basis, as_of| routed_words(basis, as_of, now);
        assert_eq!(words(None, Some(now)), "operator not told");
        let as_of = now.checked_sub(jiff::SignedDuration::from_hours(10)).ok();
        for (basis, bare, known) in [
            (RoutingBasis::Enum, "by ENUM", ", as of 10 h ago"),
            (
                RoutingBasis::Ported,
                "among the ported numbers",
                ", as of 10 h ago",
            ),
            (
                RoutingBasis::Prefix,
                "by the number's range",
                ", not ported as of 10 h ago",
            ),
        ] {
            let bare = format!("operator found {bare}");
            assert_eq!(words(Some(basis), None), bare);
            assert_eq!(words(Some(basis), as_of), format!("{bare}{known}"));
        }
    }
}
