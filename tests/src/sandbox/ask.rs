//! Asks every test number, as both banks.

use accord_adapters::virtual_operator::TEST_NUMBERS;
use accord_client::{Answered, CallError, Client, Lookup};
use accord_proto::{
    purpose::Purpose,
    signal::{Question, whole_minute},
};
use futures_util::future::{join, join_all};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::SandboxError;
use crate::world::{NORTH_PREFIX, SUD_PREFIX, World};

/// What one bank was told.
#[derive(Debug)]
pub(super) struct BankAsked {
    /// The bank.
    pub(super) bank: &'static str,
    /// What for.
    pub(super) purpose: Purpose,
    /// What about each number.
    pub(super) questions: Vec<Question>,
    /// About each number of the north operator.
    pub(super) north: Vec<Told>,
    /// About each number of the sud operator.
    pub(super) sud: Vec<Told>,
}

/// What was told about one number.
#[derive(Debug)]
pub(super) struct Told {
    /// The last three digits.
    pub(super) digits: u16,
    /// The answer, or why there is none.
    pub(super) result: Result<Answered, CallError>,
}

/// All that was asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// The bank with more clauses.
    pub(super) first: BankAsked,
    /// The bank with fewer.
    pub(super) second: BankAsked,
    /// The day since which the banks know the holders.
    pub(super) since: Date,
    /// The moment since which the first bank asks about attacks.
    pub(super) moment: Timestamp,
}

impl Asked {
    /// Asks both banks' questions about every number of both operators, all at once.
    pub(super) async fn everything(world: &World, now: Timestamp) -> Result<Self, SandboxError> {
        // Some of the test numbers changed their holder after this day, others before.
        let since = now
            .to_zoned(TimeZone::UTC)
            .date()
            .saturating_sub(30.months());
        // Before some of the test numbers were attacked.
        let moment = whole_minute(now.checked_sub(30.minutes()).unwrap_or(now));
        let recycled = Question::NumberRecycling { since };
        let sim_swap = Question::SimSwap {
            threshold_hours: None,
        };
        let device_swap = Question::DeviceSwap {
            threshold_hours: Some(72),
        };
        let first = ask(
            world.client("first-bank")?,
            "first-bank",
            Purpose::Payment,
            vec![
                sim_swap,
                Question::CallForwarding,
                Question::Roaming,
                recycled,
                device_swap,
                Question::SignallingAnomaly { since: moment },
            ],
        );
        let second = ask(
            world.client("second-bank")?,
            "second-bank",
            Purpose::DormantAccount,
            vec![sim_swap, recycled],
        );
        let (first, second) = join(first, second).await;
        Ok(Self {
            first,
            second,
            since,
            moment,
        })
    }
}

async fn ask(
    client: Client,
    bank: &'static str,
    purpose: Purpose,
    questions: Vec<Question>,
) -> BankAsked {
    let about = |prefix: &'static str| {
        let (client, questions) = (&client, &questions);
        join_all(TEST_NUMBERS.iter().map(move |number| async move {
            let about = Lookup::about(format!("{prefix}{:03}", number.digits), purpose);
            let lookup = questions
                .iter()
                .fold(about, |lookup, question| lookup.question(*question));
            Told {
                digits: number.digits,
                result: client.lookup(lookup).await,
            }
        }))
    };
    let (north, sud) = join(about(NORTH_PREFIX), about(SUD_PREFIX)).await;
    BankAsked {
        bank,
        purpose,
        questions,
        north,
        sud,
    }
}
