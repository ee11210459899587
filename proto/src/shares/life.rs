//! What becomes of the months' keys, as a state that follows from the entries of the ledger and from
//! nothing else: whoever has them in their order has the state, the broker after a restart and an
//! auditor with a copy of the ledger alike (rules R35, R39, R40).
//!
//! Holding, lifting and shredding count only under the signature of the authority that asked, once,
//! and where it can have happened. So nobody's file, and no broker, makes one authority's request
//! into that of both.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{ActMistake, KeyRequest, RequestKind, SignedRequest};
use crate::{
    document::Authorities,
    party::{PartyId, Role},
    subject::Month,
    v1::{self, key_act::Kind},
};

/// How far the time in a note may lie from that of its entry: [`ACT_AGE_MAX`](super::ACT_AGE_MAX)
/// when it came in, and what the broker needed to record it.
pub const RECORDED_WITHIN_MAX: SignedDuration = SignedDuration::from_mins(15);

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    /// The log's origin.
    pub origin: String,
    /// The entry's index in it.
    pub index: u64,
}

/// Why something can't be done with a month's key now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyNotNow {
    /// Nothing is left of it.
    #[error("its halves are destroyed, and nobody can bring them back")]
    Shredded,
    /// Nothing to lift.
    #[error("it is under no legal hold")]
    NoHold,
    /// A legal hold forbids it.
    #[error("it is under a legal hold, set by {0}; both lift it first")]
    Held(String),
    /// There are no halves.
    #[error("its key is not split: the broker holds the keys of this month and the last one")]
    NotSplit,
}

/// Why an entry is no act that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyActError {
    /// Its kind or its month.
    #[error("its kind or its month is unknown")]
    Malformed,
    /// Its note.
    #[error(transparent)]
    Note(#[from] ActMistake),
    /// The entry says something else than its author signed.
    #[error("the entry and the note that its author signed differ in their {0}")]
    Differs(&'static str),
    /// A note that was kept back.
    #[error("the note was signed at {at}, more than a quarter of an hour from its entry")]
    Stale {
        /// When, by its own account.
        at: Timestamp,
    },
    /// The note counted before.
    #[error("this very note is on the record already, as entry {} of {}", .0.index, .0.origin)]
    Twice(KeyPlace),
    /// It can't have happened then.
    #[error("it can't have happened there: {0}")]
    NotNow(#[from] KeyNotNow),
    /// It had another effect.
    #[error("what it asked for had another effect at that place")]
    OtherEffect,
}

/// What the ledger says of one month's key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthKey {
    split: Vec<v1::NamedDigest>,
    hold_by: Option<String>,
    lift_asked_by: BTreeSet<String>,
    shred_asked_by: BTreeSet<String>,
    shredded: bool,
}

/// All months of which the ledger says anything.
#[derive(Clone, Debug)]
pub struct KeyLife {
    ledger: String,
    authorities: Authorities,
    months: BTreeMap<Month, MonthKey>,
    /// By the digest of its text, when each note was signed and where it stands.
    seen: HashMap<[u8; 32], (Timestamp, KeyPlace)>,
}

impl MonthKey {
    /// What the key was split into: the sealed halves, by authority, and what they make together.
    /// Empty: it was not split.
    #[must_use]
    pub fn split(&self) -> &[v1::NamedDigest] {
        &self.split
    }

    /// SPIFFE id of the authority that set the legal hold in force.
    #[must_use]
    pub fn hold_by(&self) -> Option<&str> {
        self.hold_by.as_deref()
    }

    /// Who has asked for the hold to be lifted.
    #[must_use]
    pub const fn lift_asked_by(&self) -> &BTreeSet<String> {
        &self.lift_asked_by
    }

    /// Who has asked for the month to be shredded.
    #[must_use]
    pub const fn shred_asked_by(&self) -> &BTreeSet<String> {
        &self.shred_asked_by
    }

    /// Whether the halves are destroyed.
    #[must_use]
    pub const fn shredded(&self) -> bool {
        self.shredded
    }

    /// What it would be if `party` asked for something now.
    ///
    /// # Errors
    /// [`KeyNotNow`].
    pub fn ask(&self, kind: RequestKind, party: &PartyId) -> Result<Kind, KeyNotNow> {
        if self.shredded {
            return Err(KeyNotNow::Shredded);
        }
        // Each of them was one of the two authorities, so another one is the other one.
        let other = |asked: &BTreeSet<String>| {
            let org = |id: &String| PartyId::parse(id).is_ok_and(|by| by.org() != party.org());
            asked.iter().any(org)
        };
        match (kind, &self.hold_by) {
            (RequestKind::Hold, _) => Ok(Kind::HoldSet),
            (RequestKind::Lift, None) => Err(KeyNotNow::NoHold),
            (RequestKind::Lift, Some(_)) => Ok(match other(&self.lift_asked_by) {
                true => Kind::HoldLifted,
                false => Kind::HoldLiftAsked,
            }),
            (RequestKind::Shred, Some(by)) => Err(KeyNotNow::Held(by.clone())),
            (RequestKind::Shred, None) if self.split.is_empty() => Err(KeyNotNow::NotSplit),
            (RequestKind::Shred, None) => Ok(match other(&self.shred_asked_by) {
                true => Kind::Shredded,
                false => Kind::ShredAsked,
            }),
        }
    }

    fn follow(&mut self, kind: Kind, party: &str) {
        let party = party.to_owned();
        match kind {
            Kind::HoldSet => {
                self.hold_by.get_or_insert(party);
                // Whoever asked before knew of no such hold, and asks again.
                self.lift_asked_by.clear();
                self.shred_asked_by.clear();
            }
            Kind::HoldLiftAsked => drop(self.lift_asked_by.insert(party)),
            Kind::HoldLifted => {
                self.hold_by = None;
                self.lift_asked_by.clear();
            }
            Kind::ShredAsked => drop(self.shred_asked_by.insert(party)),
            Kind::Shredded => {
                self.shredded = true;
                self.shred_asked_by.insert(party);
            }
            Kind::Unspecified
            | Kind::Split
            | Kind::ShareGiven
            | Kind::ShareKept
            | Kind::SubjectReported => {}
        }
    }
}

impl KeyLife {
    /// Nothing has happened yet to the keys of this ledger (its name, without a month).
    #[must_use]
    pub fn new(ledger: &str, authorities: Authorities) -> Self {
        Self {
            ledger: ledger.to_owned(),
            authorities,
            months: BTreeMap::new(),
            seen: HashMap::new(),
        }
    }

    /// What became of one month's key.
    #[must_use]
    pub fn month(&self, month: Month) -> MonthKey {
        self.months.get(&month).cloned().unwrap_or_default()
    }

    /// The months of which there is anything to say, oldest first.
    pub fn months(&self) -> impl Iterator<Item = Month> {
        self.months.keys().copied()
    }

    /// Where a note stands that counted already.
    #[must_use]
    pub fn on_record(&self, sha256: &[u8; 32]) -> Option<&KeyPlace> {
        self.seen.get(sha256).map(|(_, place)| place)
    }

    /// Forgets notes that are too old to be used again at this moment.
    pub fn forget_notes(&mut self, now: Timestamp) {
        let old = |at: &Timestamp| now.duration_since(*at) > RECORDED_WITHIN_MAX;
        self.seen.retain(|_, (at, _)| !old(at));
    }

    /// Takes in what stands in an entry, in the order of the ledger. `time` is the entry's, where
    /// the time in a note is to be held against it: an auditor does. A broker held it against its
    /// own clock when the note came in.
    ///
    /// # Errors
    /// [`KeyActError`]; then nothing changed.
    pub fn replay(
        &mut self,
        act: &v1::KeyAct,
        time: Option<Timestamp>,
        place: KeyPlace,
    ) -> Result<(), KeyActError> {
        let kind = act.kind();
        let asked = match kind {
            Kind::ShareGiven | Kind::ShareKept | Kind::SubjectReported => return Ok(()),
            Kind::Unspecified => return Err(KeyActError::Malformed),
            Kind::Split => None,
            Kind::HoldSet
            | Kind::HoldLiftAsked
            | Kind::HoldLifted
            | Kind::ShredAsked
            | Kind::Shredded => Some(self.asked(act, time)?),
        };
        let month = Month::parse(&act.month).ok_or(KeyActError::Malformed)?;
        let mut key = self.month(month);
        match asked {
            None if key.shredded => return Err(KeyNotNow::Shredded.into()),
            None => key.split.clone_from(&act.digests),
            Some((signed, party)) => {
                if key.ask(signed.request.kind, &party)? != kind {
                    return Err(KeyActError::OtherEffect);
                }
                key.follow(kind, &act.party);
                self.seen.insert(signed.sha256, (signed.request.at, place));
            }
        }
        self.months.insert(month, key);
        Ok(())
    }

    /// Who asked for what, if the note of an entry bears that out.
    fn asked(
        &self,
        act: &v1::KeyAct,
        time: Option<Timestamp>,
    ) -> Result<(SignedRequest, PartyId), KeyActError> {
        let signed = KeyRequest::open(&act.note, &self.authorities)?;
        let request = &signed.request;
        let name = self.authorities.key(signed.by).name();
        let party = PartyId::parse(&act.party).ok();
        let party = party
            .filter(|party| party.role() == Role::Authority && party.org().as_str() == name)
            .ok_or(KeyActError::Differs("authority"))?;
        for (what, same) in [
            ("ledger", request.ledger == self.ledger),
            ("month", request.month.to_string() == act.month),
            ("case", request.case == act.case),
        ] {
            if !same {
                return Err(KeyActError::Differs(what));
            }
        }
        let late = |time: Timestamp| time.duration_since(request.at).abs() > RECORDED_WITHIN_MAX;
        if time.is_some_and(late) {
            return Err(KeyActError::Stale { at: request.at });
        }
        match self.on_record(&signed.sha256) {
            Some(place) => Err(KeyActError::Twice(place.clone())),
            None => Ok((signed, party)),
        }
    }
}

#[cfg(test)]
mod tests;
