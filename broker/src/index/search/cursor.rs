//! The blocks of one term, one by one.

use rusqlite::{CachedStatement, Rows, params};

use super::{
    super::{
        bits::{BLOCK_ENTRIES, Bits},
        error::IndexError,
        state::block_key,
        store::{Key, Kind, Store, unseal},
    },
    Range,
};

/// Stands at a block of its term.
pub(super) struct Cursor<'s> {
    term: i64,
    rows: Rows<'s>,
    /// Where it stands; the greatest number at the end.
    pub(super) block: i64,
    pub(super) bits: Bits,
}

impl<'s> Cursor<'s> {
    pub(super) fn statement(store: &'s Store) -> Result<CachedStatement<'s>, IndexError> {
        Ok(store.connection().prepare_cached(
            "SELECT b, bytes FROM rows WHERE kind = 1 AND a = ?1 AND b >= ?2 AND b <= ?3 ORDER BY b",
        )?)
    }

    pub(super) fn open(
        statement: &'s mut CachedStatement<'_>,
        term: i64,
        range: &Range,
    ) -> Result<Self, IndexError> {
        let block = |index: u64| block_key(range.log, index / BLOCK_ENTRIES);
        let (first, last) = (block(range.first), block(range.end - 1));
        let mut cursor = Self {
            term,
            rows: statement.query(params![term, first, last])?,
            block: 0,
            bits: Bits::default(),
        };
        cursor.step()?;
        Ok(cursor)
    }

    pub(super) fn step(&mut self) -> Result<(), IndexError> {
        let Some(row) = self.rows.next()? else {
            self.block = i64::MAX;
            return Ok(());
        };
        let b: i64 = row.get(0)?;
        let key = Key {
            kind: Kind::Term,
            a: self.term,
            b,
        };
        let bytes = row.get_ref(1)?.as_blob();
        let bytes = bytes.map_err(|_| IndexError::Damaged("a row holds no bytes"))?;
        let (payload, _) = unseal(key, bytes)?;
        self.bits = Bits::decode(payload).ok_or(IndexError::Damaged("a row is no set"))?;
        self.block = b;
        Ok(())
    }
}
