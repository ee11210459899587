//! What has become of each closed month, as it follows from the ledger's entries. The ledger is the
//! truth: the file beside the keys says where the entries lie, and nothing of what they say.

use std::path::Path;

use accord_proto::{
    document::Authorities,
    shares::{KeyActError, KeyLife, KeyPlace, MonthKey},
    subject::Month,
    v1::{self, entry::Event, key_act::Kind},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::ClosedError;
use crate::{
    acts_file::{ActsFile, At, Recorded, scan},
    entry::KEY_ACT_TAG,
    ledger::{Committed, Ledger},
};

/// The file's name, beside the keys.
const NAME: &str = "key-acts";
const HEADING: &str = "accord key acts v1";

/// All months of which the ledger says anything.
#[derive(Debug)]
pub(super) struct Book {
    life: KeyLife,
    /// Where the entries lie from which it follows, oldest first.
    acts: Vec<At>,
    file: ActsFile,
}

impl Book {
    /// Lets every act on the record happen again.
    pub(super) fn open(
        dir: &Path,
        ledger: &Ledger,
        authorities: &Authorities,
    ) -> Result<Self, ClosedError> {
        let file = ActsFile::new(dir.join(NAME), HEADING, KEY_ACT_TAG);
        let mut book = Self {
            life: KeyLife::new(ledger.key().name(), authorities.clone()),
            acts: Vec::new(),
            file,
        };
        for recorded in book.file.recall(ledger)? {
            book.again(recorded)?;
        }
        // Nothing else is recorded while a broker starts, so there is no act after the last one.
        let origin = ledger.origin();
        if let Some(index) = ledger.size_of(Some(&origin))?.checked_sub(1) {
            book.write(&At { origin, index });
        }
        Ok(book)
    }

    /// What the ledger says of one month, read from the ledger alone.
    pub(super) fn recorded(
        ledger: &Ledger,
        authorities: &Authorities,
        month: Month,
    ) -> Result<MonthKey, ClosedError> {
        let mut life = KeyLife::new(ledger.key().name(), authorities.clone());
        let of_month = month.to_string();
        // Nobody acts on a month before it has begun.
        for recorded in scan(ledger, begins(month), KEY_ACT_TAG)? {
            let (At { origin, index }, act) = (recorded.at, act_of(recorded.event));
            let Some(act) = act.filter(|act| act.month == of_month) else {
                continue;
            };
            replay(&mut life, &act, At { origin, index })?;
        }
        Ok(life.month(month))
    }

    /// The state.
    pub(super) const fn life(&self) -> &KeyLife {
        &self.life
    }

    pub(super) fn month(&self, month: Month) -> MonthKey {
        self.life.month(month)
    }

    /// Takes in an act that was just recorded.
    pub(super) fn take(
        &mut self,
        act: &v1::KeyAct,
        committed: &Committed,
        now: Timestamp,
    ) -> Result<(), ClosedError> {
        let at = At {
            origin: committed.origin.to_string(),
            index: committed.index,
        };
        replay(&mut self.life, act, at.clone())?;
        self.life.forget_notes(now);
        self.acts.push(at.clone());
        self.write(&at);
        Ok(())
    }

    fn again(&mut self, recorded: Recorded) -> Result<(), ClosedError> {
        let Some(act) = act_of(recorded.event) else {
            return Ok(());
        };
        replay(&mut self.life, &act, recorded.at.clone())?;
        self.acts.push(recorded.at);
        Ok(())
    }

    /// The file only spares a start the reading of the whole ledger.
    fn write(&self, through: &At) {
        if let Err(error) = self.file.write(through, &self.acts) {
            tracing::error!(%error, "can't write down where the acts on keys lie");
        }
    }
}

fn replay(life: &mut KeyLife, act: &v1::KeyAct, at: At) -> Result<(), ClosedError> {
    let At { origin, index } = at;
    let place = KeyPlace {
        origin: origin.clone(),
        index,
    };
    let replayed = life.replay(act, None, place);
    replayed.map_err(|error: KeyActError| ClosedError::Act {
        origin,
        index,
        error,
    })
}

/// What is done to a month's key; `None` for what changes nothing.
fn act_of(event: Event) -> Option<v1::KeyAct> {
    let Event::KeyAct(act) = event else {
        return None;
    };
    let idle = [Kind::ShareGiven, Kind::ShareKept, Kind::SubjectReported];
    (!idle.contains(&act.kind())).then_some(act)
}

fn begins(month: Month) -> Timestamp {
    let day = format!("{month}-01").parse::<Date>().ok();
    let zoned = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    zoned.map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}
