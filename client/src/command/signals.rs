//! Which signals to ask.

use accord_proto::signal::{Question, Signal, Since, whole_minute};
use jiff::Timestamp;

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
    /// The date or moment of the command line, for numbers that have none of their own.
    since: Option<Since>,
    /// Named by the command line, and not by us: then nothing is left out.
    named: bool,
}

/// One signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole(Question),
    /// Begins at the number's date or moment.
    Since(Signal),
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

    /// The signals, each of which has a question where its number has a date or moment.
    pub(super) fn signals(&self) -> Vec<Signal> {
        self.wanted.iter().map(Wanted::signal).collect()
    }

    /// Why a number can't be asked about that has no more of its own than these.
    pub(super) fn lacks_since(&self, own: &[Since]) -> Option<String> {
        match self.questions(own) {
            Err(rule) => Some(rule),
            Ok(questions) => questions.is_empty().then(|| {
                let needs = |signal: &Signal| format!("{signal} needs {}", beginning(*signal));
                let needs: Vec<_> = self.signals().iter().map(needs).collect();
                format!("{}, with --since", needs.join(" and "))
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
                | Question::Tenure { .. }
                | Question::SignallingAnomaly { .. },
            )
            | Wanted::Since(_) => false,
        };
        self.wanted.iter().any(open)
    }

    /// In words, for a person.
    pub(super) fn words(&self) -> String {
        let words = self.wanted.iter().map(|wanted| match wanted {
            Wanted::Whole(question) => question_words(question),
            Wanted::Since(signal) => match self.since.and_then(|since| begun(*signal, since)) {
                Some(question) => question_words(&question),
                None => format!("{signal} if there is {}", beginning(*signal)),
            },
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// The questions about a number with these dates and moments of its own. They are facts about
    /// the customer that only the bank knows: without one, the signals that need it are not asked
    /// unless they were named.
    pub(super) fn questions(&self, own: &[Since]) -> Result<Vec<Question>, String> {
        let known = || own.iter().copied().chain(self.since);
        let question = |wanted: &Wanted| match *wanted {
            Wanted::Whole(question) => Some(Ok(question)),
            Wanted::Since(signal) => match known().find_map(|since| begun(signal, since)) {
                Some(question) => Some(Ok(question)),
                None => self.named.then(|| Err(without_since(signal))),
            },
        };
        self.wanted.iter().filter_map(question).collect()
    }
}

impl Wanted {
    const fn signal(&self) -> Signal {
        match self {
            Self::Whole(question) => question.signal(),
            Self::Since(signal) => *signal,
        }
    }
}

fn without_since(signal: Signal) -> String {
    let (needs, such) = (beginning(signal), such_as(signal));
    format!("{signal} needs {needs}: {signal}={such} or --since")
}

/// What a question of this signal begins at.
const fn beginning(signal: Signal) -> &'static str {
    match signal {
        Signal::SignallingAnomaly => "a moment",
        Signal::SimSwap
        | Signal::DeviceSwap
        | Signal::CallForwarding
        | Signal::Roaming
        | Signal::NumberRecycling
        | Signal::Tenure => "a date",
    }
}

const fn such_as(signal: Signal) -> &'static str {
    match signal {
        Signal::SignallingAnomaly => "2026-11-21T12:03:00Z",
        Signal::SimSwap
        | Signal::DeviceSwap
        | Signal::CallForwarding
        | Signal::Roaming
        | Signal::NumberRecycling
        | Signal::Tenure => "2024-01-31",
    }
}

/// The question of a signal that begins there: number recycling and tenure at a date, a signalling
/// anomaly at a moment.
const fn begun(signal: Signal, since: Since) -> Option<Question> {
    match (signal, since) {
        (Signal::NumberRecycling, Since::Day(since)) => Some(Question::NumberRecycling { since }),
        (Signal::Tenure, Since::Day(since)) => Some(Question::Tenure { since }),
        (Signal::SignallingAnomaly, Since::Moment(since)) => {
            Some(Question::SignallingAnomaly { since })
        }
        (Signal::NumberRecycling | Signal::Tenure, Since::Moment(_))
        | (Signal::SignallingAnomaly, Since::Day(_))
        | (
            Signal::SimSwap | Signal::DeviceSwap | Signal::CallForwarding | Signal::Roaming,
            Since::Day(_) | Since::Moment(_),
        ) => None,
    }
}

/// Reads a date or a moment, which is rounded down to its minute.
pub(super) fn parse_since(text: &str) -> Result<Since, String> {
    let day = (text.len() == DATE_LEN)
        .then(|| text.parse().ok())
        .flatten();
    let moment = || text.parse::<Timestamp>().ok();
    day.map(Since::Day)
        .or_else(|| moment().map(|moment| Since::Moment(whole_minute(moment))))
        .ok_or_else(|| {
            "since is a calendar date such as 2024-01-31, or a moment such as 2026-11-21T12:03:00Z"
                .to_owned()
        })
}

const DATE_LEN: usize = "2024-01-31".len();

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
        Wanted::Since(Signal::NumberRecycling),
        Wanted::Since(Signal::Tenure),
        Wanted::Since(Signal::SignallingAnomaly),
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
        Signal::NumberRecycling | Signal::Tenure | Signal::SignallingAnomaly => match parameter {
            None => Ok(Wanted::Since(signal)),
            Some(text) => {
                let since = parse_since(text)
                    .ok()
                    .and_then(|since| begun(signal, since));
                whole(since.ok_or_else(|| {
                    let such = such_as(signal);
                    format!(
                        "{signal} takes {}, such as {signal}={such}",
                        beginning(signal)
                    )
                }))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Since {
        Since::Day(text.parse().unwrap())
    }

    fn ask(signals: &[&str], since: Option<Since>) -> Ask {
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
            (
                "signalling_anomaly=2026-11-21T12:03:59+00:00",
                Question::SignallingAnomaly {
                    since: "2026-11-21T12:03:00Z".parse().unwrap(),
                },
            ),
        ] {
            let since = Some(Since::Day(since));
            let asking = Asking::named(&ask(&[text], since)).unwrap().unwrap();
            assert_eq!(asking.questions(&[]), Ok(vec![question]), "{text}");
        }
    }

    #[test]
    fn a_malformed_signal_names_the_rule() {
        for (text, said) in [
            ("simswap", "one of sim_swap"),
            ("sim_swap=soon", "hours"),
            ("roaming=1", "no parameter"),
            ("tenure=2024-02-31", "a date"),
            ("tenure=2024-02-01T12:00:00Z", "a date"),
            ("signalling_anomaly=2024-02-01", "a moment"),
        ] {
            let error = Asking::named(&ask(&[text], None)).unwrap_err();
            assert!(format!("{error:?}").contains(said), "{error:?}");
        }
    }

    #[test]
    fn a_number_has_a_date_of_its_own_or_that_of_the_command_line() {
        let (own, other) = (day("2024-01-31"), day("2023-01-31"));
        let asking = Asking::named(&ask(&["tenure"], None)).unwrap().unwrap();
        assert!(asking.lacks_since(&[]).unwrap().contains("needs a date"));
        assert!(asking.questions(&[]).unwrap_err().contains("needs a date"));
        let asking = Asking::named(&ask(&["tenure"], Some(other)))
            .unwrap()
            .unwrap();
        assert_eq!(asking.lacks_since(&[]), None);
        let asked = |since| match since {
            Since::Day(since) => Ok(vec![Question::Tenure { since }]),
            Since::Moment(_) => Err(String::new()),
        };
        assert_eq!(asking.questions(&[]), asked(other));
        assert_eq!(asking.questions(&[own]), asked(own));
    }

    #[test]
    fn a_date_is_no_moment_and_a_moment_no_date() {
        let at = "2026-11-21T12:03:00Z".parse().unwrap();
        let (date, moment) = (day("2024-01-31"), Since::Moment(at));
        let both = ["tenure", "signalling_anomaly"];
        let asking = Asking::named(&ask(&both, Some(date))).unwrap().unwrap();
        let rule = asking.lacks_since(&[date]).unwrap();
        assert!(
            rule.starts_with("signalling_anomaly needs a moment"),
            "{rule}"
        );
        let questions = asking.questions(&[moment]).unwrap();
        assert!(questions.contains(&Question::SignallingAnomaly { since: at }));
        assert_eq!(questions.len(), 2);
    }

    #[test]
    fn signals_with_a_beginning_are_asked_by_default_only_where_there_is_one() {
        let asking = Asking::of_granted(&ask(&[], None), vec![]);
        assert_eq!(asking.lacks_since(&[]), None);
        assert_eq!(asking.questions(&[]).unwrap().len(), 4);
        assert_eq!(asking.questions(&[day("2024-01-31")]).unwrap().len(), 6);
        let moment = parse_since("2026-11-21T12:03:00Z").unwrap();
        assert_eq!(asking.questions(&[moment]).unwrap().len(), 5);
        let dated = vec![Wanted::Since(Signal::NumberRecycling)];
        let asking = Asking::of_granted(&ask(&[], None), dated);
        let rule = asking.lacks_since(&[]).unwrap();
        assert_eq!(rule, "number_recycling needs a date, with --since");
    }
}
