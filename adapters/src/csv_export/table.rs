//! The accepted file in memory, one row of 40 bytes for each number.

use accord_proto::msisdn::Msisdn;
use accord_proto::observation::{Forwarding, ForwardingCondition, ForwardingTarget, SwapKind};
use jiff::Timestamp;

use super::config::{Begin, ForwardingCell};
use super::dates::When;
use super::number::{packed, unpacked};
use crate::source::SourceRestrictions;

/// What is known of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) sim: When,
    pub(super) device: When,
    /// When the line began; of a row that has ended, its end.
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

    /// Whether the last change of SIM was a port at the time at which the line began.
    pub(super) fn came_with_its_sim(&self, exported_at: Timestamp) -> bool {
        let both = self
            .sim
            .interval(exported_at)
            .zip(self.holder.interval(exported_at));
        self.kind() == Some(SwapKind::PortIn)
            && both.is_some_and(|(sim, began)| {
                sim.after() < began.before() && began.after() < sim.before()
            })
    }

    /// `None`: in a way that is not known.
    pub(super) const fn set_begin(&mut self, begin: Option<Begin>) {
        match begin {
            Some(Begin::NewHolder) => {}
            Some(Begin::PortIn) => self.flags.set(Flags::PORTED_IN),
            Some(Begin::SameHolder) => self.flags.set(Flags::SAME_HOLDER),
            None => self.flags.set(Flags::BEGUN_SOMEHOW),
        }
    }

    /// How the line began; `None`: in a way that is not known.
    pub(super) const fn begin(&self) -> Option<Begin> {
        if self.flags.has(Flags::BEGUN_SOMEHOW) {
            None
        } else if self.flags.has(Flags::SAME_HOLDER) {
            Some(Begin::SameHolder)
        } else if self.flags.has(Flags::PORTED_IN) {
            Some(Begin::PortIn)
        } else {
            Some(Begin::NewHolder)
        }
    }
}

/// Facts of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const UNREADABLE: Self = Self(1);
    pub(super) const OPTED_OUT: Self = Self(2);
    pub(super) const SWAP_LOCKED: Self = Self(4);
    pub(super) const ENDED: Self = Self(8);
    pub(super) const CONTRADICTED: Self = Self(16);
    const PORTED_IN: Self = Self(32);
    const SAME_HOLDER: Self = Self(64);
    const BEGUN_SOMEHOW: Self = Self(128);

    pub(super) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) const fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }
}

/// Two bits for each condition, in the order of [`ForwardingCondition::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Sorts the rows and makes one of those with the same number, whatever order they stand in.
    pub(super) fn new(
        mut rows: Vec<Row>,
        exported_at: Timestamp,
        unreadable: bool,
    ) -> (Self, Merged) {
        // Of the same number the former holders come first, by their ends; the rest only puts rows
        // that are alike beside each other.
        rows.sort_unstable_by(|one, other| {
            let turn = |row: &Row| (!row.flags.has(Flags::ENDED), row.holder);
            let order = one.number.cmp(&other.number);
            order
                .then_with(|| turn(one).cmp(&turn(other)))
                .then_with(|| one.cmp(other))
        });
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

/// Makes one row of two, in `kept`; `next` comes after it, as the rows were sorted.
fn merge(kept: &mut Row, next: &Row, merged: &mut Merged) {
    if kept == next {
        merged.identical += 1;
        return;
    }
    let former = *kept;
    // The subscriber's own wish counts, whatever else the rows disagree about.
    let wishes = (kept.flags.0 | next.flags.0) & (Flags::OPTED_OUT.0 | Flags::SWAP_LOCKED.0);
    let doubtful = Flags(Flags::UNREADABLE.0 | Flags::CONTRADICTED.0);
    let starts_after = |end| next.holder.after().is_none_or(|start| Some(start) >= end);
    // A former holder's row beside the present one's is no contradiction, nor are two former ones.
    // Of those the one that ended last has come through, so that is the end to be compared with.
    let in_turn = former.flags.has(Flags::ENDED)
        && (next.flags.has(Flags::ENDED) || starts_after(former.holder.after()));
    let doubt = former.flags.has(doubtful) || next.flags.has(doubtful) || !in_turn;
    *kept = *next;
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
    use jiff::tz::TimeZone;

    use super::*;
    use crate::csv_export::dates::DateFormat;

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
        assert_eq!((merged.identical, merged.contradicted), (1, 1));
    }

    /// The holder of a row, from or until a day of January 2026.
    fn on(day: i8) -> When {
        let format = DateFormat::new("%Y-%m-%d", &TimeZone::UTC).unwrap();
        let exported: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        let text = format!("2026-01-{day:02}");
        let when = format.when(&text, Timestamp::UNIX_EPOCH, exported);
        when.unwrap()
    }

    fn ended_on(day: i8) -> Row {
        let mut row = flagged(Flags::ENDED);
        row.holder = on(day);
        row
    }

    fn held_since(day: i8) -> Row {
        let mut row = row();
        row.holder = on(day);
        row
    }

    #[test]
    fn whatever_order_the_rows_stand_in_the_result_is_the_same() {
        let (early, late) = (ended_on(5), ended_on(20));
        for (rows, contradicted, holder) in [
            // Between two former holders, the later of whom was still there.
            ([early, late, held_since(10)], true, None),
            ([early, late, held_since(20)], false, Some(on(20))),
            ([early, late, held_since(25)], false, Some(on(25))),
            // All former: the latest end.
            ([early, late, ended_on(15)], false, Some(on(20))),
            // Two present ones.
            ([early, held_since(10), held_since(12)], true, None),
        ] {
            let mut seen = Vec::new();
            for order in [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ] {
                let (table, merged) = table(order.map(|at| rows[at]).to_vec());
                let kept = *table.row(&number()).unwrap();
                assert_eq!(
                    kept.flags.has(Flags::CONTRADICTED),
                    contradicted,
                    "{order:?}"
                );
                if let Some(holder) = holder {
                    assert_eq!(kept.holder, holder, "{order:?}");
                }
                seen.push((kept, merged));
            }
            seen.dedup();
            assert_eq!(seen.len(), 1, "{seen:?}");
        }
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
