//! Blocks of CDRs and what they hold: who looks for a rare value among millions of records passes
//! over all blocks that cannot have it. An index for each column would cost each call more than
//! this costs all of them.
//!
//! A block reaches from the end of the one before it to its own end, both of them places in the
//! order of the table. What is newer than the last is in none yet. Its summary may know of values
//! that are gone, and never lacks one that is there: a block that a late record has come into has
//! no summary until it gets a new one.

use std::ops::ControlFlow;

use model::Cdr;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::summary::{Column, Mark, may_hold, summary};
use crate::cdrs::{Place, Span, signed, text, word};
use crate::{CdrFilter, StoreError};

/// What must be in a block to be worth a look.
pub(super) fn marks_of(filter: &CdrFilter) -> Result<Vec<Mark>, StoreError> {
    let outcome = filter.outcome.as_ref().map(word).transpose()?;
    let wanted = [
        (Column::Account, text(filter.account)),
        (Column::User, text(filter.user)),
        (Column::Customer, text(filter.customer)),
        (Column::Carrier, text(filter.carrier)),
        (Column::Caller, filter.caller.clone()),
        (Column::Called, filter.called.clone()),
        (Column::Outcome, outcome),
    ];
    let mark =
        |(column, value): (Column, Option<String>)| value.map(|value| Mark::of(column, &value));
    Ok(wanted.into_iter().filter_map(mark).collect())
}

/// Which part of the table somebody wants to see, and in steps of how many records.
pub(super) struct Part {
    /// Whole blocks that end before are left out.
    pub(super) from_us: i64,
    /// What is newer is left out.
    pub(super) until: Option<Place>,
    pub(super) rows: usize,
}

/// Hands the parts of the table that may hold all of `marks` to `look`, the newest first, as long as
/// it says true and it is not `late`. If that ends it, returns the place behind which everything
/// has been looked at, which comes to at least one step more than before.
pub(super) fn walk(
    tx: &Transaction<'_>,
    marks: &[Mark],
    part: &Part,
    late: impl Fn() -> bool,
    mut look: impl FnMut(Span) -> Result<bool, StoreError>,
) -> Result<Option<Place>, StoreError> {
    let (end_us, call) = part.until.clone().unwrap_or((i64::MAX, String::new()));
    let mut blocks = tx.prepare_cached(
        "SELECT last_us, last_call, summary FROM cdr_block
         WHERE (last_us, last_call) <= (?, ?) AND last_us >= ?
         ORDER BY last_us DESC, last_call DESC",
    )?;
    let mut blocks = blocks.query(params![end_us, call, part.from_us])?;
    // What is newer than the newest block, or begins within one, is looked through.
    let mut up_to = Some(part.until.clone());
    let mut is_first = true;
    loop {
        let block = blocks.next()?;
        let last: Option<Place> = block.map(place).transpose()?;
        if let Some(up_to) = up_to {
            let behind = last.clone();
            let span = Span { behind, up_to };
            if let ControlFlow::Break(reached) = steps(tx, part, span, &late, &mut look)? {
                return Ok(reached);
            }
        }
        let (Some(block), Some(last)) = (block, last) else {
            return Ok(None);
        };
        // There may be nothing between the cursor and the first block.
        if !is_first && late() {
            return Ok(Some(last));
        }
        is_first = false;
        let known = block.get_ref(2)?.as_blob_or_null();
        let known = known.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let is_worth_it = known.is_none_or(|summary| may_hold(summary, marks));
        up_to = is_worth_it.then_some(Some(last));
    }
}

/// Looks through a span in steps, of which a block that is known takes one: other spans have as
/// many records as came late or are in no block yet. Breaks with the place that was reached in
/// time, if it is too late.
fn steps(
    tx: &Transaction<'_>,
    part: &Part,
    mut span: Span,
    late: &impl Fn() -> bool,
    look: &mut impl FnMut(Span) -> Result<bool, StoreError>,
) -> Result<ControlFlow<Option<Place>>, StoreError> {
    let mut step = tx.prepare_cached(
        "SELECT end_us, call FROM cdr
         WHERE (end_us, call) <= (?, ?) AND (end_us, call) > (?, ?)
         ORDER BY end_us DESC, call DESC LIMIT 1 OFFSET ?",
    )?;
    let rows = i64::try_from(part.rows).unwrap_or(i64::MAX);
    loop {
        let from = span.up_to.clone().unwrap_or((i64::MAX, LAST_CALL.into()));
        let to = span.behind.clone();
        let to = to.unwrap_or((part.from_us.saturating_sub(1), LAST_CALL.into()));
        let values = params![from.0, from.1, to.0, to.1, rows];
        let Some(end) = step.query_row(values, place).optional()? else {
            let is_wanted = look(span)?;
            return Ok(if is_wanted {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(None)
            });
        };
        let behind = Some(end.clone());
        let up_to = span.up_to.replace(end.clone());
        if !look(Span { behind, up_to })? {
            return Ok(ControlFlow::Break(None));
        }
        if late() {
            return Ok(ControlFlow::Break(Some(end)));
        }
    }
}

/// Where the newest block ends.
pub(super) fn boundary(tx: &Transaction<'_>) -> Result<Option<Place>, StoreError> {
    let newest = "SELECT last_us, last_call FROM cdr_block
        ORDER BY last_us DESC, last_call DESC LIMIT 1";
    Ok(tx.prepare_cached(newest)?.query_row([], place).optional()?)
}

/// A record has come: its block, if it belongs to one, is not known any more. Says whether it does.
pub(super) fn note_late(
    tx: &Transaction<'_>,
    boundary: Option<&Place>,
    cdr: &Cdr,
) -> Result<bool, StoreError> {
    let at = (signed(cdr.end_us), cdr.call.to_string());
    if boundary.is_none_or(|boundary| at > *boundary) {
        return Ok(false);
    }
    let forget = "UPDATE cdr_block SET summary = NULL WHERE summary IS NOT NULL
        AND (last_us, last_call) = (SELECT last_us, last_call FROM cdr_block
            WHERE (last_us, last_call) >= (?, ?) ORDER BY last_us, last_call LIMIT 1)";
    tx.prepare_cached(forget)?.execute(params![at.0, at.1])?;
    Ok(true)
}

/// Makes blocks of what is in none, but for the newest records, among which later ones will come;
/// then of a block that is not known any more. At most [`BLOCKS_AT_ONCE`]. Returns after how many
/// new records there is something to do.
pub(super) fn seal(tx: &Transaction<'_>, rows: usize) -> Result<usize, StoreError> {
    let mut newest = boundary(tx)?;
    let most = rows * (BLOCKS_AT_ONCE + 1);
    let waiting = count_behind(tx, newest.as_ref(), most)?;
    let blocks = (waiting / rows).saturating_sub(1);
    for _ in 0..blocks {
        let block = Block::read(tx, newest.as_ref(), None, rows)?;
        newest = block.save(tx)?;
    }
    let spare = BLOCKS_AT_ONCE - blocks;
    let is_all = renew(tx, rows, spare)? && waiting < most;
    let left = waiting - blocks * rows;
    Ok(if is_all {
        (2 * rows).saturating_sub(left).max(1)
    } else {
        1
    })
}

/// Gives the oldest block that is not known a summary, in several if late records have made it
/// large. Says whether there is none left.
fn renew(tx: &Transaction<'_>, rows: usize, blocks: usize) -> Result<bool, StoreError> {
    let unknown = "SELECT last_us, last_call FROM cdr_block WHERE summary IS NULL
        ORDER BY last_us, last_call LIMIT 1";
    let unknown = tx
        .prepare_cached(unknown)?
        .query_row([], place)
        .optional()?;
    let Some(end) = unknown else {
        return Ok(true);
    };
    let before = "SELECT last_us, last_call FROM cdr_block WHERE (last_us, last_call) < (?, ?)
        ORDER BY last_us DESC, last_call DESC LIMIT 1";
    let mut before = tx.prepare_cached(before)?;
    let mut from = before.query_row(params![end.0, end.1], place).optional()?;
    for _ in 0..blocks {
        let block = Block::read(tx, from.as_ref(), Some(&end), rows)?;
        if block.rows < rows {
            Block {
                last: Some(end),
                ..block
            }
            .save(tx)?;
            return Ok(false);
        }
        from = block.save(tx)?;
        if from.as_ref() == Some(&end) {
            break;
        }
    }
    Ok(false)
}

/// Forgets blocks that are older than every record.
pub(super) fn forget(tx: &Transaction<'_>) -> Result<(), StoreError> {
    let gone = "DELETE FROM cdr_block WHERE last_us < (SELECT min(end_us) FROM cdr)";
    tx.prepare_cached(gone)?.execute([])?;
    Ok(())
}

/// Records that follow each other, and what they hold.
struct Block {
    rows: usize,
    last: Option<Place>,
    marks: Vec<Mark>,
}

impl Block {
    /// Reads at most `rows` records behind one place, and none behind another.
    fn read(
        tx: &Transaction<'_>,
        behind: Option<&Place>,
        up_to: Option<&Place>,
        rows: usize,
    ) -> Result<Self, StoreError> {
        let from = behind.map_or((i64::MIN, ""), |at| (at.0, &at.1));
        let to = up_to.map_or((i64::MAX, LAST_CALL), |at| (at.0, &at.1));
        let mut read = tx.prepare_cached(
            "SELECT end_us, call, account, from_user, to_user, customer, carrier, caller, called,
             outcome FROM cdr WHERE (end_us, call) > (?, ?) AND (end_us, call) <= (?, ?)
             ORDER BY end_us, call LIMIT ?",
        )?;
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        let mut found = read.query(params![from.0, from.1, to.0, to.1, limit])?;
        let mut block = Self {
            rows: 0,
            last: None,
            marks: Vec::new(),
        };
        while let Some(row) = found.next()? {
            block.rows += 1;
            block.last = Some(place(row)?);
            for (index, column) in COLUMNS.into_iter().enumerate() {
                let value = row.get_ref(index + 2)?.as_str_or_null();
                let value = value.map_err(|error| StoreError::Corrupt(error.to_string()))?;
                block
                    .marks
                    .extend(value.map(|value| Mark::of(column, value)));
            }
        }
        Ok(block)
    }

    /// Writes it down; returns where it ends.
    fn save(self, tx: &Transaction<'_>) -> Result<Option<Place>, StoreError> {
        if let Some((last_us, last_call)) = &self.last {
            tx.prepare_cached(
                "INSERT INTO cdr_block (last_us, last_call, summary) VALUES (?, ?, ?)
                 ON CONFLICT (last_us, last_call) DO UPDATE SET summary = excluded.summary",
            )?
            .execute(params![last_us, last_call, summary(self.marks)])?;
        }
        Ok(self.last)
    }
}

/// How many records there are behind a place, at most so many.
fn count_behind(
    tx: &Transaction<'_>,
    behind: Option<&Place>,
    most: usize,
) -> Result<usize, StoreError> {
    let from = behind.map_or((i64::MIN, ""), |at| (at.0, &at.1));
    let count = "SELECT count(*) FROM
        (SELECT 1 FROM cdr WHERE (end_us, call) > (?, ?) LIMIT ?)";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let count: i64 = tx
        .prepare_cached(count)?
        .query_row(params![from.0, from.1, most], |row| row.get(0))?;
    Ok(count as usize)
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Records of a block: some milliseconds to look through.
pub(super) const BLOCK_ROWS: usize = 4_096;
/// Blocks that one change makes: while it does, nothing else can be written.
const BLOCKS_AT_ONCE: usize = 8;
/// Behind every call, whose identifiers are digits and letters of ASCII.
const LAST_CALL: &str = "~";
/// What the columns behind the place hold, in the order in which they are read.
const COLUMNS: [Column; 8] = [
    Column::Account,
    Column::User,
    Column::User,
    Column::Customer,
    Column::Carrier,
    Column::Caller,
    Column::Called,
    Column::Outcome,
];

#[cfg(test)]
mod tests;
