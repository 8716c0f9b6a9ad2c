//! CDRs in SQLite.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use model::{CallId, Cdr, CdrOutcome};
use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension, ToSql, Transaction, params, params_from_iter};

use super::blocks::Part;
use super::{Sqlite, blocks};
use crate::cdrs::{Bound, GUESSED, Select, Span, signed, text, until, word};
use crate::{CdrCursor, CdrFilter, CdrSearch, CdrStore, StoreError};

impl CdrStore for Sqlite {
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        let due = self.seal_after.load(Ordering::Relaxed);
        let (added, due) = self.change(|tx| {
            let boundary = blocks::boundary(tx)?;
            let mut insert = tx.prepare_cached(INSERT)?;
            let answered = word(&CdrOutcome::Answered)?;
            let (mut added, mut late) = (0, 0);
            for cdr in cdrs {
                let changed = insert.execute(params![
                    signed(cdr.end_us),
                    cdr.call.to_string(),
                    text(cdr.account),
                    text(cdr.from_user),
                    text(cdr.to_user),
                    text(cdr.customer),
                    text(cdr.carrier),
                    cdr.caller,
                    cdr.called,
                    word(&cdr.outcome)?,
                    serde_json::to_string(cdr)?,
                    GUESSED,
                    answered,
                ])?;
                added += changed;
                if changed > 0 && blocks::note_late(tx, boundary.as_ref(), cdr)? {
                    late += 1;
                }
            }
            let due = if late > 0 {
                0
            } else {
                due.saturating_sub(added)
            };
            // While records come late, more of them will.
            let due = if due == 0 && late == 0 {
                blocks::seal(tx, self.block_rows)?
            } else {
                due
            };
            Ok((added, due))
        })?;
        self.seal_after.store(due, Ordering::Relaxed);
        Ok(added)
    }

    fn search(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<CdrSearch, StoreError> {
        // Waiting for others who search is part of it.
        let started = Instant::now();
        let marks = blocks::marks_of(filter)?;
        self.query_cdrs(|tx| {
            let mut found = Vec::new();
            if marks.is_empty() {
                read(tx, &Select::of(filter, after, limit)?, &mut found)?;
                return Ok(CdrSearch::complete(found));
            }
            let part = Part {
                from_us: filter.from_us.map_or(i64::MIN, signed),
                until: until(filter, after),
                rows: self.block_rows,
            };
            let late = || started.elapsed() >= patience;
            let reached = blocks::walk(tx, &marks, &part, late, |span: Span| {
                let left = limit - found.len();
                read(tx, &Select::within(filter, span, after, left)?, &mut found)?;
                Ok(found.len() < limit)
            })?;
            let go_on = reached.as_ref().map(CdrCursor::at).transpose()?;
            Ok(CdrSearch { found, go_on })
        })
    }

    fn remove_before(&self, end_us: u64, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.change(|tx| {
            let deleted = tx
                .prepare_cached(
                    "DELETE FROM cdr WHERE (end_us, call) IN
                     (SELECT end_us, call FROM cdr WHERE end_us < ? ORDER BY end_us, call LIMIT ?)",
                )?
                .execute(params![signed(end_us), limit])?;
            blocks::forget(tx)?;
            Ok(deleted)
        })
    }

    fn get(&self, call: CallId) -> Result<Option<Cdr>, StoreError> {
        self.query_cdrs(|tx| {
            let body: Option<String> = tx
                .prepare_cached("SELECT body FROM cdr WHERE call = ?")?
                .query_row([call.to_string()], |row| row.get(0))
                .optional()?;
            Ok(body.as_deref().map(serde_json::from_str).transpose()?)
        })
    }
}

/// Appends what is asked for.
fn read(tx: &Transaction<'_>, select: &Select, found: &mut Vec<Cdr>) -> Result<(), StoreError> {
    let mut list = tx.prepare_cached(&select.sql)?;
    let mut rows = list.query(params_from_iter(&select.values))?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_str().map_err(|e| corrupt(&e))?;
        found.push(serde_json::from_str(body)?);
    }
    Ok(())
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Integer(integer) => integer.to_sql(),
        }
    }
}

fn corrupt(error: &rusqlite::types::FromSqlError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

const INSERT: &str = "INSERT INTO cdr (end_us, call, account, from_user, to_user, customer, \
    carrier, caller, called, outcome, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
    ON CONFLICT (end_us, call) DO NOTHING \
    ON CONFLICT (call) DO UPDATE SET end_us = excluded.end_us, account = excluded.account, \
    from_user = excluded.from_user, to_user = excluded.to_user, customer = excluded.customer, \
    carrier = excluded.carrier, caller = excluded.caller, called = excluded.called, \
    outcome = excluded.outcome, body = excluded.body \
    WHERE instr(excluded.body, ?12) = 0 AND (instr(cdr.body, ?12) > 0 \
    OR (excluded.outcome = ?13 AND excluded.end_us < cdr.end_us))";
