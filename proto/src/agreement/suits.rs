//! Which operations of CAMARA's APIs a clause is precise enough for.

use super::{Clause, Thresholds};
use crate::{
    camara::{MAX_AGE_HOURS_MAX, Operation},
    granularity::Granularity,
};

impl Clause {
    /// Whether a question by this operation can have an answer under the clause, whoever it is about.
    /// Where it can't, every one of them would be refused: so no token is given for it either.
    ///
    /// Under bands the answer of `retrieve-date` is never a date; but that there was no change for so
    /// many days is one.
    #[must_use]
    pub fn suits(&self, operation: Operation) -> bool {
        let precise = match operation {
            Operation::SimSwapCheck | Operation::DeviceSwapCheck => match &self.thresholds {
                Thresholds::Any => true,
                Thresholds::None => false,
                Thresholds::Offered(hours) => hours.iter().any(|hours| *hours <= MAX_AGE_HOURS_MAX),
            },
            Operation::SimSwapRetrieveDate
            | Operation::DeviceSwapRetrieveDate
            | Operation::SimSwapRetrieveAgeBand => match self.granularity {
                Granularity::Band | Granularity::Instant => true,
                Granularity::YesNo | Granularity::State => false,
            },
            Operation::ForwardingUnconditional | Operation::ForwardingAll => {
                self.granularity == Granularity::State
            }
            Operation::RoamingRetrieve | Operation::RecyclingCheck | Operation::TenureCheck => true,
        };
        precise && self.signals.contains(&operation.signal())
    }
}
