//! The accepted file in memory, one row of 40 bytes for each number.

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Forwarding, ForwardingCondition, ForwardingTarget, SwapKind};
use jiff::Timestamp;

use super::config::ForwardingCell;
use super::dates::When;
use super::number::{packed, unpacked};
use crate::source::SourceRestrictions;

/// What is known of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) sim: When,
    pub(super) device: When,
    /// Start of the present holder's tenure; of a row that has ended, its end.
    pub(super) holder: When,
    pub(super) flags: Flags,
    /// Place in [`SwapKind::ALL`] from 1; 0: not known.
    kind: u8,
    pub(super) forwarding: ForwardingBits,
}

// The memory of millions of subscribers hangs on this.
const _: () = assert!(size_of::<Row>() <= 40);

impl Row {
    pub(super) const fn empty(number: u64) -> Self {
        Self {
            number,
            sim: When::UNKNOWN,
            device: When::UNKNOWN,
            holder: When::UNKNOWN,
            flags: Flags(0),
            kind: 0,
            forwarding: ForwardingBits(0),
        }
    }

    pub(super) fn set_kind(&mut self, kind: Option<SwapKind>) {
        let place = SwapKind::ALL.iter().position(|known| Some(*known) == kind);
        self.kind = place
            .and_then(|place| u8::try_from(place + 1).ok())
            .unwrap_or(0);
    }

    pub(super) fn kind(&self) -> Option<SwapKind> {
        let place = usize::from(self.kind).checked_sub(1)?;
        SwapKind::ALL.get(place).copied()
    }
}

/// Facts of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const UNREADABLE: Self = Self(1);
    pub(super) const OPTED_OUT: Self = Self(2);
    pub(super) const SWAP_LOCKED: Self = Self(4);
    pub(super) const ENDED: Self = Self(8);
    pub(super) const CONTRADICTED: Self = Self(16);

    pub(super) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) const fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }
}

/// Two bits for each condition, in the order of [`ForwardingCondition::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForwardingBits(u8);

impl ForwardingBits {
    pub(super) const fn set(&mut self, place: usize, cell: ForwardingCell) {
        let bits = match cell {
            ForwardingCell::Inactive => 0,
            ForwardingCell::AnotherNumber => 1,
            ForwardingCell::OwnVoicemail => 2,
            ForwardingCell::Active => 3,
        };
        self.0 |= bits << (place * 2);
    }

    /// The active ones.
    pub(super) fn active(self) -> Vec<Forwarding> {
        let target = |place: usize| match (self.0 >> (place * 2)) & 3 {
            0 => None,
            1 => Some(ForwardingTarget::AnotherNumber),
            2 => Some(ForwardingTarget::OwnVoicemail),
            _ => Some(ForwardingTarget::Unknown),
        };
        let conditions = ForwardingCondition::ALL.iter().enumerate();
        conditions
            .filter_map(|(place, condition)| {
                let condition = *condition;
                target(place).map(|target| Forwarding { condition, target })
            })
            .collect()
    }
}

/// An accepted file.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    pub(super) exported_at: Timestamp,
    /// Some row's number could not be read, so that a number's absence proves nothing.
    pub(super) has_unreadable_numbers: bool,
}

/// What became of rows with the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) identical: u64,
    pub(super) former: u64,
    pub(super) contradicted: u64,
}

impl Table {
    /// Sorts the rows and makes one of those with the same number.
    pub(super) fn new(
        mut rows: Vec<Row>,
        exported_at: Timestamp,
        unreadable: bool,
    ) -> (Self, Merged) {
        rows.sort_unstable_by_key(|row| row.number);
        let mut merged = Merged::default();
        rows.dedup_by(|next, kept| {
            let same = next.number == kept.number;
            if same {
                merge(kept, next, &mut merged);
            }
            same
        });
        rows.shrink_to_fit();
        let table = Self {
            rows,
            exported_at,
            has_unreadable_numbers: unreadable,
        };
        (table, merged)
    }

    pub(super) fn row(&self, msisdn: &Msisdn) -> Option<&Row> {
        let number = packed(msisdn);
        let place = self.rows.binary_search_by_key(&number, |row| row.number);
        place.ok().and_then(|place| self.rows.get(place))
    }

    /// Who has opted out, and who has locked the SIM.
    pub(super) fn restrictions(&self) -> SourceRestrictions {
        let flagged = |flag| {
            let rows = self.rows.iter().filter(|row| row.flags.has(flag));
            rows.filter_map(|row| unpacked(row.number)).collect()
        };
        SourceRestrictions {
            opted_out: flagged(Flags::OPTED_OUT),
            swap_locked: flagged(Flags::SWAP_LOCKED),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Makes one row of two, in `kept`.
fn merge(kept: &mut Row, next: &Row, merged: &mut Merged) {
    if kept == next {
        merged.identical += 1;
        return;
    }
    // The subscriber's own wish counts, whatever else the rows disagree about.
    let wishes = (kept.flags.0 | next.flags.0) & (Flags::OPTED_OUT.0 | Flags::SWAP_LOCKED.0);
    let doubtful = Flags(Flags::UNREADABLE.0 | Flags::CONTRADICTED.0);
    let (present, former) = if kept.flags.has(Flags::ENDED) {
        (*next, *kept)
    } else {
        (*kept, *next)
    };
    let starts_after = |end| {
        present
            .holder
            .after()
            .is_none_or(|start| Some(start) >= end)
    };
    // A former holder's row beside the present one's is no contradiction, nor are two former ones.
    let in_turn = former.flags.has(Flags::ENDED)
        && (present.flags.has(Flags::ENDED) || starts_after(former.holder.after()));
    let doubt = kept.flags.has(doubtful) || next.flags.has(doubtful) || !in_turn;
    *kept = present;
    kept.flags.0 |= wishes;
    if doubt {
        kept.flags.set(Flags::CONTRADICTED);
        merged.contradicted += 1;
    } else {
        merged.former += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: Vec<Row>) -> (Table, Merged) {
        Table::new(rows, Timestamp::UNIX_EPOCH, false)
    }

    fn number() -> Msisdn {
        Msisdn::parse("+447700900001").unwrap()
    }

    fn row() -> Row {
        Row::empty(packed(&number()))
    }

    fn flagged(flag: Flags) -> Row {
        let mut row = row();
        row.flags.set(flag);
        row
    }

    #[test]
    fn kinds_and_forwardings_come_back() {
        let mut row = row();
        assert_eq!(row.kind(), None);
        for kind in SwapKind::ALL {
            row.set_kind(Some(*kind));
            assert_eq!(row.kind(), Some(*kind));
        }
        row.forwarding.set(1, ForwardingCell::OwnVoicemail);
        row.forwarding.set(3, ForwardingCell::AnotherNumber);
        let active = row.forwarding.active();
        assert_eq!(active.len(), 2);
        assert_eq!(active[0].condition, ForwardingCondition::Busy);
        assert_eq!(active[1].target, ForwardingTarget::AnotherNumber);
    }

    #[test]
    fn a_wish_survives_a_contradiction() {
        let mut other = flagged(Flags::OPTED_OUT);
        other.set_kind(Some(SwapKind::Esim));
        let (table, merged) = table(vec![row(), other, row()]);
        let kept = table.row(&number()).unwrap();
        assert!(kept.flags.has(Flags::OPTED_OUT) && kept.flags.has(Flags::CONTRADICTED));
        assert_eq!(merged.contradicted, 2);
    }

    #[test]
    fn former_holders_do_not_contradict_the_present_one() {
        for rows in [
            vec![flagged(Flags::ENDED), row()],
            vec![row(), flagged(Flags::ENDED)],
        ] {
            let (table, merged) = table(rows);
            assert_eq!(table.row(&number()).unwrap().flags, Flags(0));
            assert_eq!(merged.former, 1);
        }
    }
}
