//! CDRs in SQLite.

use model::{CallId, Cdr};
use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension, ToSql, params, params_from_iter};

use super::Sqlite;
use crate::cdrs::{Bound, GUESSED, Select, signed, text, word};
use crate::{CdrCursor, CdrFilter, CdrStore, StoreError};

impl CdrStore for Sqlite {
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        self.change(|tx| {
            let mut insert = tx.prepare_cached(INSERT)?;
            let mut added = 0;
            for cdr in cdrs {
                added += insert.execute(params![
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
                ])?;
            }
            Ok(added)
        })
    }

    fn list(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
    ) -> Result<Vec<Cdr>, StoreError> {
        let Select { sql, values } = Select::of(filter, after, limit)?;
        self.query(|tx| {
            let mut list = tx.prepare_cached(&sql)?;
            let mut rows = list.query(params_from_iter(&values))?;
            let mut cdrs = Vec::new();
            while let Some(row) = rows.next()? {
                cdrs.push(serde_json::from_str(
                    row.get_ref(0)?.as_str().map_err(|e| corrupt(&e))?,
                )?);
            }
            Ok(cdrs)
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
            Ok(deleted)
        })
    }

    fn get(&self, call: CallId) -> Result<Option<Cdr>, StoreError> {
        self.query(|tx| {
            let body: Option<String> = tx
                .prepare_cached("SELECT body FROM cdr WHERE call = ?")?
                .query_row([call.to_string()], |row| row.get(0))
                .optional()?;
            Ok(body.as_deref().map(serde_json::from_str).transpose()?)
        })
    }
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
    WHERE instr(cdr.body, ?12) > 0 AND instr(excluded.body, ?12) = 0";
