//! Which signals to ask.

use accord_proto::signal::{Question, Signal};
use jiff::civil::Date;

use super::{
    args::Ask,
    exit::{Exit, Failure},
};
use crate::words::question_words;

/// The window of a yes or no about a swap, where nothing else is said.
pub(super) const SWAP_HOURS: u32 = 72;

/// What is asked about each number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    wanted: Vec<Wanted>,
    /// The date of the command line, for numbers that have none of their own.
    since: Option<Date>,
    /// Named by the command line, and not by us: then nothing is left out.
    named: bool,
}

/// One signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole(Question),
    /// Begins at the number's date.
    Dated(Signal),
}

impl Asking {
    /// What a command line names; `None` where it names no signal.
    pub(super) fn named(ask: &Ask) -> Result<Option<Self>, Failure> {
        if ask.signals.is_empty() {
            return Ok(None);
        }
        let parse = |text: &String| parse(text).map_err(|rule| Failure::new(Exit::Usage, rule));
        Ok(Some(Self {
            wanted: ask.signals.iter().map(parse).collect::<Result<_, _>>()?,
            since: ask.since,
            named: true,
        }))
    }

    /// What is asked where nothing is named: what is granted or, where that is nothing or not
    /// known, all, so that the broker says why not.
    pub(super) fn of_granted(ask: &Ask, granted: Vec<Wanted>) -> Self {
        let wanted = if granted.is_empty() {
            default_signals()
        } else {
            granted
        };
        Self {
            wanted,
            since: ask.since,
            named: false,
        }
    }

    /// The signals, each of which has a question where its number has a date.
    pub(super) fn signals(&self) -> Vec<Signal> {
        self.wanted.iter().map(Wanted::signal).collect()
    }

    /// Why a number without a date of its own can't be asked about.
    pub(super) fn needs_date(&self) -> Option<String> {
        match self.questions(None) {
            Err(rule) => Some(rule),
            Ok(questions) => questions.is_empty().then(|| {
                let names: Vec<_> = self.signals().iter().map(|signal| signal.name()).collect();
                format!("{} needs a date, with --since", names.join(" and "))
            }),
        }
    }

    /// Whether a yes or no could come without the window that it is about.
    pub(super) fn leaves_a_window_open(&self) -> bool {
        let open = |wanted: &Wanted| match wanted {
            Wanted::Whole(
                Question::SimSwap { threshold_hours } | Question::DeviceSwap { threshold_hours },
            ) => threshold_hours.is_none(),
            Wanted::Whole(
                Question::CallForwarding
                | Question::Roaming
                | Question::NumberRecycling { .. }
                | Question::Tenure { .. },
            )
            | Wanted::Dated(_) => false,
        };
        self.wanted.iter().any(open)
    }

    /// In words, for a person.
    pub(super) fn words(&self) -> String {
        let words = self.wanted.iter().map(|wanted| match (wanted, self.since) {
            (Wanted::Whole(question), _) => question_words(question),
            (Wanted::Dated(signal), Some(since)) => question_words(&dated(*signal, since)),
            (Wanted::Dated(signal), None) => format!("{signal} if there is a date"),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// The questions about a number with this date. A date is a fact about the customer that only
    /// the bank knows: without one, the signals that need it are not asked unless they were named.
    pub(super) fn questions(&self, since: Option<Date>) -> Result<Vec<Question>, String> {
        let since = since.or(self.since);
        let question = |wanted: &Wanted| match (*wanted, since) {
            (Wanted::Whole(question), _) => Some(Ok(question)),
            (Wanted::Dated(signal), Some(since)) => Some(Ok(dated(signal, since))),
            (Wanted::Dated(signal), None) => self.named.then(|| Err(no_date(signal))),
        };
        self.wanted.iter().filter_map(question).collect()
    }
}

impl Wanted {
    const fn signal(&self) -> Signal {
        match self {
            Self::Whole(question) => question.signal(),
            Self::Dated(signal) => *signal,
        }
    }
}

fn no_date(signal: Signal) -> String {
    format!("{signal} needs a date: {signal}=2024-01-31 or --since")
}

/// Only number recycling and tenure begin at a date.
fn dated(signal: Signal, since: Date) -> Question {
    match signal {
        Signal::Tenure => Question::Tenure { since },
        Signal::SimSwap
        | Signal::DeviceSwap
        | Signal::CallForwarding
        | Signal::Roaming
        | Signal::NumberRecycling => Question::NumberRecycling { since },
    }
}

fn default_signals() -> Vec<Wanted> {
    vec![
        Wanted::Whole(Question::SimSwap {
            threshold_hours: None,
        }),
        Wanted::Whole(Question::DeviceSwap {
            threshold_hours: Some(SWAP_HOURS),
        }),
        Wanted::Whole(Question::CallForwarding),
        Wanted::Whole(Question::Roaming),
        Wanted::Dated(Signal::NumberRecycling),
        Wanted::Dated(Signal::Tenure),
    ]
}

fn parse(text: &str) -> Result<Wanted, String> {
    let (name, parameter) = match text.split_once('=') {
        Some((name, parameter)) => (name, Some(parameter)),
        None => (text, None),
    };
    let signal: Signal = name
        .parse()
        .map_err(|error: accord_proto::UnknownWord| error.to_string())?;
    let whole = |question: Result<Question, String>| question.map(Wanted::Whole);
    let hours = || match parameter {
        None | Some("0") => Ok(None),
        Some(text) => text
            .trim_end_matches('h')
            .parse()
            .map(Some)
            .map_err(|_| format!("{signal} takes hours, such as {signal}=72")),
    };
    let bare = |question| match parameter {
        None => Ok(question),
        Some(_) => Err(format!("{signal} takes no parameter")),
    };
    match signal {
        Signal::SimSwap => {
            whole(hours().map(|threshold_hours| Question::SimSwap { threshold_hours }))
        }
        Signal::DeviceSwap => {
            whole(hours().map(|threshold_hours| Question::DeviceSwap { threshold_hours }))
        }
        Signal::CallForwarding => whole(bare(Question::CallForwarding)),
        Signal::Roaming => whole(bare(Question::Roaming)),
        Signal::NumberRecycling | Signal::Tenure => match parameter {
            None => Ok(Wanted::Dated(signal)),
            Some(text) => whole(text.parse().map(|since| dated(signal, since)).map_err(
                |_: jiff::Error| {
                    format!("{signal} takes a calendar date, such as {signal}=2024-01-31")
                },
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(signals: &[&str], since: Option<Date>) -> Ask {
        Ask {
            purpose: None,
            signals: signals.iter().map(|text| (*text).to_owned()).collect(),
            since,
            on_behalf_of: None,
            consent_ref: None,
        }
    }

    #[test]
    fn signals_are_parsed_with_their_parameters() {
        let since = "2024-01-31".parse().unwrap();
        let hours = |threshold_hours| Question::SimSwap { threshold_hours };
        for (text, question) in [
            ("sim_swap", hours(None)),
            ("sim_swap=0", hours(None)),
            ("sim_swap=72", hours(Some(72))),
            ("sim_swap=72h", hours(Some(72))),
            ("roaming", Question::Roaming),
            ("tenure", Question::Tenure { since }),
            (
                "number_recycling=2024-01-31",
                Question::NumberRecycling { since },
            ),
        ] {
            let asking = Asking::named(&ask(&[text], Some(since))).unwrap().unwrap();
            assert_eq!(asking.questions(None), Ok(vec![question]), "{text}");
        }
    }

    #[test]
    fn a_malformed_signal_names_the_rule() {
        for (text, said) in [
            ("simswap", "one of sim_swap"),
            ("sim_swap=soon", "hours"),
            ("roaming=1", "no parameter"),
            ("tenure=2024-02-31", "calendar date"),
        ] {
            let error = Asking::named(&ask(&[text], None)).unwrap_err();
            assert!(format!("{error:?}").contains(said), "{error:?}");
        }
    }

    #[test]
    fn a_number_has_a_date_of_its_own_or_that_of_the_command_line() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let (own, other) = (date("2024-01-31"), date("2023-01-31"));
        let asking = Asking::named(&ask(&["tenure"], None)).unwrap().unwrap();
        assert!(asking.needs_date().unwrap().contains("needs a date"));
        assert!(asking.questions(None).unwrap_err().contains("needs a date"));
        let asking = Asking::named(&ask(&["tenure"], Some(other)))
            .unwrap()
            .unwrap();
        assert_eq!(asking.needs_date(), None);
        let asked = |since| vec![Question::Tenure { since }];
        assert_eq!(asking.questions(None), Ok(asked(other)));
        assert_eq!(asking.questions(Some(own)), Ok(asked(own)));
    }

    #[test]
    fn signals_with_a_date_are_asked_by_default_only_with_a_date() {
        let asking = Asking::of_granted(&ask(&[], None), vec![]);
        assert_eq!(asking.needs_date(), None);
        assert_eq!(asking.questions(None).unwrap().len(), 4);
        let since = "2024-01-31".parse().ok();
        assert_eq!(asking.questions(since).unwrap().len(), 6);
        let dated = vec![Wanted::Dated(Signal::NumberRecycling)];
        let asking = Asking::of_granted(&ask(&[], None), dated);
        let rule = asking.needs_date().unwrap();
        assert_eq!(rule, "number_recycling needs a date, with --since");
    }
}
