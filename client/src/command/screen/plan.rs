//! What a screening asks about each line of its file.

use accord_proto::{
    clock::SharedClock,
    purpose::Purpose,
    signal::{Question, Signal, Since, whole_minute},
};
use jiff::tz::TimeZone;

use super::{
    super::{
        args::Ask,
        exit::{Exit, Failure},
        lookup::with_references,
        signals::Asking,
    },
    input::{Input, InputLine},
};
use crate::Lookup;

/// A number that nobody has: ITU-T leaves +999 unassigned.
const NOBODY: &str = "+99900000000";

/// What is asked, and under which ids.
#[derive(Debug)]
pub(super) struct Plan {
    /// The name of this screening, with which each request id begins.
    pub(super) run: String,
    asking: Asking,
    ask: Ask,
    purpose: Purpose,
}

impl Plan {
    /// Finds what would be wrong with every line, since it stands in the command line.
    pub(super) fn check(ask: &Ask, purpose: Purpose, clock: &SharedClock) -> Result<(), Failure> {
        let now = clock.now();
        let usage = |rule: String| Failure::new(Exit::Usage, rule);
        // The beginning on the command line is looked at, too, and not only those of the lines.
        let (day, moment) = (
            Since::Day(now.to_zoned(TimeZone::UTC).date()),
            Since::Moment(whole_minute(now)),
        );
        let own: Vec<Since> = ask.since.into_iter().chain([day, moment]).collect();
        let questions = match Asking::named(ask)? {
            Some(asking) => asking.questions(&own).map_err(usage)?,
            None => vec![match ask.since.unwrap_or(day) {
                Since::Day(since) => Question::NumberRecycling { since },
                Since::Moment(since) => Question::SignallingAnomaly { since },
            }],
        };
        let lookup = lookup(NOBODY, purpose, questions);
        let lookup = with_references(lookup, ask, None);
        match lookup.check(clock) {
            Ok(_) => Ok(()),
            Err(error) => Err(usage(error.to_string())),
        }
    }

    /// A plan that every line of the input can follow.
    pub(super) fn new(
        party: &str,
        ask: &Ask,
        asking: Asking,
        purpose: Purpose,
        input: &Input,
    ) -> Result<Self, Failure> {
        for (line, since) in &input.beginnings {
            if let Some(rule) = asking.lacks_since(since.as_slice()) {
                let rule = format!("{rule}, or in the column `since`");
                return Err(input.mistake(*line, &rule));
            }
        }
        let (principal, consent) = (&ask.on_behalf_of, &ask.consent_ref);
        let name = format!("{party}, {purpose}, {asking:?}, {principal:?}, {consent:?}");
        Ok(Self {
            run: input.run_name(&name),
            asking,
            ask: ask.clone(),
            purpose,
        })
    }

    /// The signals that lines are asked about.
    pub(super) fn signals(&self) -> Vec<Signal> {
        self.asking.signals()
    }

    /// The question about one line.
    pub(super) fn lookup(&self, line: &InputLine) -> Result<Lookup, Failure> {
        let questions = self.asking.questions(line.since.as_slice());
        let questions = questions.map_err(|rule| Failure::new(Exit::Failure, rule))?;
        let lookup =
            lookup(&line.msisdn, self.purpose, questions).request_id(line.request_id(&self.run));
        let lookup = with_references(lookup, &self.ask, line.customer_ref.as_deref());
        Ok(match &line.consent_ref {
            Some(consent) => lookup.consent_ref(consent),
            None => lookup,
        })
    }
}

fn lookup(msisdn: &str, purpose: Purpose, questions: Vec<Question>) -> Lookup {
    let about = Lookup::about(msisdn, purpose);
    questions.into_iter().fold(about, Lookup::question)
}
