//! From what a body says to a question of ours.

use accord_proto::{
    camara::{MAX_AGE_HOURS_MAX, Operation},
    msisdn::Msisdn,
    signal::Question,
    v1, wire,
    wire::FieldError,
};
use jiff::civil::Date;

use super::{
    answer::Asked,
    fault::Fault,
    fields::{MAX_AGE_HOURS_DEFAULT, Said},
    problem::Code,
};
use crate::path::Refusal;

/// Who a question is about (CAMARA API Design Guide section 3.2.2): the token says it, or the body
/// does, and never both. They are not compared, since that would tell whose number a token is for.
///
/// Returns what goes into the question: empty where the token says it.
pub(super) fn number(said: &Said, in_token: bool) -> Result<String, Fault> {
    let named = said.phone_number.is_some() || said.device.is_some();
    match (in_token, &said.phone_number) {
        (true, _) if named => Err(Fault::coded(
            Code::UnnecessaryIdentifier,
            Refusal::UnnecessaryIdentifier,
        )),
        (true, _) => Ok(String::new()),
        (false, Some(number)) => match Msisdn::parse(number) {
            Ok(_) => Ok(number.clone()),
            // CAMARA's numbers begin at five digits, ours at eight: no mobile subscriber has a
            // shorter international number. It is well formed, so it is a number of nobody.
            Err(error) => Err(Fault::coded(
                Code::IdentifierNotFound,
                FieldError::from(error).into(),
            )),
        },
        (false, None) if named => {
            let rule = "identifies the device by `phoneNumber`: no other identifier is supported";
            Err(Fault::coded(
                Code::UnsupportedIdentifier,
                FieldError::new("device", rule).into(),
            ))
        }
        (false, None) => Err(Fault::coded(
            Code::MissingIdentifier,
            Refusal::MissingIdentifier,
        )),
    }
}

/// The signal that an operation asks, with its window or date. `today` is UTC.
pub(super) fn signal(
    operation: Operation,
    said: &Said,
    today: Date,
) -> Result<v1::SignalQuestion, Fault> {
    let question = match operation {
        Operation::SimSwapCheck => Question::SimSwap {
            threshold_hours: Some(hours(said)?),
        },
        Operation::SimSwapRetrieveDate | Operation::SimSwapRetrieveAgeBand => Question::SimSwap {
            threshold_hours: None,
        },
        Operation::DeviceSwapCheck => Question::DeviceSwap {
            threshold_hours: Some(hours(said)?),
        },
        Operation::DeviceSwapRetrieveDate => Question::DeviceSwap {
            threshold_hours: None,
        },
        Operation::ForwardingUnconditional | Operation::ForwardingAll => Question::CallForwarding,
        Operation::RoamingRetrieve => Question::Roaming,
        Operation::RecyclingCheck => Question::NumberRecycling {
            since: since(said, "specifiedDate", today)?,
        },
        Operation::TenureCheck => Question::Tenure {
            since: since(said, "tenureDate", today)?,
        },
    };
    Ok(wire::question(&question))
}

/// What the answer needs to know of the question.
pub(super) fn asked(operation: Operation, said: Said) -> Asked {
    let several = said.device.is_some_and(|device| device.identifiers > 1);
    Asked {
        operation,
        date: said.date,
        echoed: said.phone_number.filter(|_| several),
    }
}

fn hours(said: &Said) -> Result<u32, Fault> {
    let Some(asked) = said.max_age else {
        return Ok(MAX_AGE_HOURS_DEFAULT);
    };
    let hours = u32::try_from(asked).ok();
    hours
        .filter(|hours| *hours <= MAX_AGE_HOURS_MAX)
        .ok_or_else(|| {
            let rule = format!("is at most {MAX_AGE_HOURS_MAX} hours");
            Fault::coded(Code::OutOfRange, FieldError::new("maxAge", rule).into())
        })
}

fn since(said: &Said, field: &'static str, today: Date) -> Result<Date, Fault> {
    let wrong = |code, rule| Fault::coded(code, FieldError::new(field, rule).into());
    match said.date {
        Some(date) if date > today => Err(wrong(
            Code::OutOfRange,
            "is not in the future (days are UTC's)",
        )),
        Some(date) => Ok(date),
        None => Err(wrong(Code::InvalidArgument, "is required")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fields::Device, hours as hours_of, *};

    const TODAY: Date = jiff::civil::date(2026, 11, 21);

    fn said(number: &str) -> Said {
        Said {
            phone_number: (!number.is_empty()).then(|| number.to_owned()),
            ..Said::default()
        }
    }

    fn code<T: std::fmt::Debug>(fault: Result<T, Fault>) -> Code {
        fault.unwrap_err().problem.code
    }

    #[test]
    fn the_token_or_the_body_says_which_number_and_never_both() {
        let number = "+447700900001";
        assert_eq!(super::number(&said(number), false).unwrap(), number);
        assert_eq!(super::number(&said(""), true).unwrap(), "");
        assert_eq!(
            code(super::number(&said(number), true)),
            Code::UnnecessaryIdentifier
        );
        assert_eq!(
            code(super::number(&said(""), false)),
            Code::MissingIdentifier
        );
        // Too short for ours, and well formed.
        for short in ["+12345", "+1234567"] {
            let code = code(super::number(&said(short), false));
            assert_eq!(code, Code::IdentifierNotFound);
        }
        let device = Said {
            device: Some(Device { identifiers: 1 }),
            ..Said::default()
        };
        assert_eq!(
            code(super::number(&device, false)),
            Code::UnsupportedIdentifier
        );
        assert_eq!(
            code(super::number(&device, true)),
            Code::UnnecessaryIdentifier
        );
    }

    #[test]
    fn a_window_has_a_default_and_a_limit() {
        let hours = |max_age| {
            let said = Said {
                max_age,
                ..Said::default()
            };
            hours_of(&said)
        };
        assert_eq!(hours(None).unwrap(), 240);
        assert_eq!(hours(Some(1)).unwrap(), 1);
        assert_eq!(hours(Some(2_400)).unwrap(), 2_400);
        for beyond in [2_401, 100_000, i64::MAX] {
            assert_eq!(code(hours(Some(beyond))), Code::OutOfRange);
        }
    }

    #[test]
    fn a_day_is_not_in_the_future() {
        let on = |date: Date| {
            let said = Said {
                date: Some(date),
                ..Said::default()
            };
            signal(Operation::RecyclingCheck, &said, TODAY)
        };
        assert!(on(TODAY).is_ok());
        let tomorrow = TODAY.tomorrow().unwrap();
        assert_eq!(code(on(tomorrow)), Code::OutOfRange);
    }

    #[test]
    fn every_operation_asks_its_own_signal() {
        for operation in Operation::ALL {
            let said = Said {
                date: Some(TODAY),
                ..Said::default()
            };
            let wire = signal(operation, &said, TODAY).unwrap();
            let request = v1::LookupRequest {
                msisdn: "+447700900001".to_owned(),
                purpose: 1,
                signals: vec![wire],
                ..v1::LookupRequest::default()
            };
            let now = "2026-11-21T12:00:00Z".parse().unwrap();
            let lookup = wire::Lookup::parse(request, now).unwrap();
            let [question] = lookup.questions.as_slice() else {
                panic!("{operation:?}");
            };
            assert_eq!(question.signal(), operation.signal());
        }
    }

    #[test]
    fn a_number_is_echoed_only_where_it_was_one_of_several_identifiers() {
        let of = |identifiers| {
            let said = Said {
                device: Some(Device { identifiers }),
                ..said("+447700900001")
            };
            asked(Operation::RoamingRetrieve, said).echoed
        };
        assert_eq!(of(1), None);
        assert_eq!(of(2).as_deref(), Some("+447700900001"));
        assert_eq!(
            asked(Operation::SimSwapCheck, said("+447700900001")).echoed,
            None
        );
    }
}
