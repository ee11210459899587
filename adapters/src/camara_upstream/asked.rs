//! What is asked of each API: nothing of it depends on an answer.

use accord_proto::{msisdn::Msisdn, signal::Signal};
use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::{api::Manner, config::SwapsBy};

/// What a question asks about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    /// The date is in this field.
    SwapDate(&'static str),
    /// Within so many hours.
    SwapCheck(u32),
    Forwarding,
    Roaming,
    Recycled(Date),
    Held(Date),
}

impl Asked {
    /// The body of the request. Nothing in it is to be escaped: digits, and words of our own.
    pub(super) fn body(self, msisdn: &Msisdn) -> Bytes {
        let number = msisdn.expose();
        let with = |field: &str, value: &dyn std::fmt::Display| {
            format!(r#"{{"phoneNumber":"{number}","{field}":{value}}}"#)
        };
        let day = |field, day: Date| with(field, &format_args!("\"{day}\""));
        Bytes::from(match self {
            Self::SwapDate(_) | Self::Forwarding => format!(r#"{{"phoneNumber":"{number}"}}"#),
            Self::SwapCheck(hours) => with("maxAge", &hours),
            Self::Roaming => format!(r#"{{"device":{{"phoneNumber":"{number}"}}}}"#),
            Self::Recycled(since) => day("specifiedDate", since),
            Self::Held(since) => day("tenureDate", since),
        })
    }
}

impl Manner {
    /// Where below an API's place a signal is asked for; `None` if no API answers it.
    pub(super) const fn operation(&self, signal: Signal) -> Option<&'static str> {
        Some(match signal {
            Signal::SimSwap | Signal::DeviceSwap => match self.swaps_by {
                SwapsBy::RetrieveDate => "retrieve-date",
                SwapsBy::Check => "check",
            },
            Signal::CallForwarding => self.forwarding.path(),
            Signal::Roaming => "retrieve",
            Signal::NumberRecycling => "check",
            Signal::Tenure => "check-tenure",
            Signal::SignallingAnomaly => return None,
        })
    }

    /// The questions about a signal, in the order in which they are asked until there is nothing more
    /// to learn; none if no API answers it.
    pub(super) fn questions(&self, signal: Signal, now: Timestamp) -> Vec<Asked> {
        match signal {
            Signal::SimSwap => self.swap("latestSimChange"),
            Signal::DeviceSwap => self.swap("latestDeviceChange"),
            Signal::CallForwarding => vec![Asked::Forwarding],
            Signal::Roaming => vec![Asked::Roaming],
            Signal::NumberRecycling => self.since(now, Asked::Recycled),
            Signal::Tenure => self.since(now, Asked::Held),
            Signal::SignallingAnomaly => Vec::new(),
        }
    }

    fn swap(&self, field: &'static str) -> Vec<Asked> {
        match self.swaps_by {
            SwapsBy::RetrieveDate => vec![Asked::SwapDate(field)],
            SwapsBy::Check => self
                .check_hours
                .iter()
                .copied()
                .map(Asked::SwapCheck)
                .collect(),
        }
    }

    fn since(&self, now: Timestamp, asked: fn(Date) -> Asked) -> Vec<Asked> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let days = self.since_days.iter().map(|days| {
            let ago = SignedDuration::from_hours(i64::from(*days) * 24);
            asked(today.checked_sub(ago).unwrap_or(today))
        });
        days.collect()
    }
}
