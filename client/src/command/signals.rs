//! Which signals to ask.

use accord_proto::signal::{Question, Signal};
use jiff::civil::Date;

use super::{
    args::Ask,
    exit::{Exit, Failure},
};

/// Device swaps are asked as yes or no within this many hours, where nothing else is said.
const DEVICE_SWAP_HOURS: u32 = 72;

/// The questions of a command line. `since` may stand in a file instead of the command line.
pub(super) fn questions(ask: &Ask, since: Option<Date>) -> Result<Vec<Question>, Failure> {
    let since = since.or(ask.since);
    if ask.signals.is_empty() {
        return Ok(default_questions(since));
    }
    ask.signals
        .iter()
        .map(|text| parse(text, since).map_err(|rule| Failure::new(Exit::Usage, rule)))
        .collect()
}

/// A date is a fact about the customer that only the bank knows, so the two signals that need one
/// are not asked without.
fn default_questions(since: Option<Date>) -> Vec<Question> {
    let mut questions = vec![
        Question::SimSwap {
            threshold_hours: None,
        },
        Question::DeviceSwap {
            threshold_hours: Some(DEVICE_SWAP_HOURS),
        },
        Question::CallForwarding,
        Question::Roaming,
    ];
    if let Some(since) = since {
        questions.push(Question::NumberRecycling { since });
        questions.push(Question::Tenure { since });
    }
    questions
}

fn parse(text: &str, since: Option<Date>) -> Result<Question, String> {
    let (name, parameter) = match text.split_once('=') {
        Some((name, parameter)) => (name, Some(parameter)),
        None => (text, None),
    };
    let signal: Signal = name
        .parse()
        .map_err(|error: accord_proto::UnknownWord| error.to_string())?;
    let hours = || match parameter {
        None | Some("0") => Ok(None),
        Some(text) => text
            .trim_end_matches('h')
            .parse()
            .map(Some)
            .map_err(|_| format!("{signal} takes hours, such as {signal}=72")),
    };
    let date = || match parameter {
        None => {
            since.ok_or_else(|| format!("{signal} needs a date: {signal}=2024-01-31 or --since"))
        }
        Some(text) => text
            .parse()
            .map_err(|_| format!("{signal} takes a calendar date, such as {signal}=2024-01-31")),
    };
    let bare = |question| match parameter {
        None => Ok(question),
        Some(_) => Err(format!("{signal} takes no parameter")),
    };
    match signal {
        Signal::SimSwap => hours().map(|threshold_hours| Question::SimSwap { threshold_hours }),
        Signal::DeviceSwap => {
            hours().map(|threshold_hours| Question::DeviceSwap { threshold_hours })
        }
        Signal::CallForwarding => bare(Question::CallForwarding),
        Signal::Roaming => bare(Question::Roaming),
        Signal::NumberRecycling => date().map(|since| Question::NumberRecycling { since }),
        Signal::Tenure => date().map(|since| Question::Tenure { since }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(parse(text, Some(since)), Ok(question), "{text}");
        }
    }

    #[test]
    fn a_malformed_signal_names_the_rule() {
        for (text, said) in [
            ("simswap", "one of sim_swap"),
            ("sim_swap=soon", "hours"),
            ("roaming=1", "no parameter"),
            ("tenure", "needs a date"),
            ("tenure=2024-02-31", "calendar date"),
        ] {
            let error = parse(text, None).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn signals_with_a_date_are_asked_by_default_only_with_a_date() {
        assert_eq!(default_questions(None).len(), 4);
        assert_eq!(default_questions("2024-01-31".parse().ok()).len(), 6);
    }
}
