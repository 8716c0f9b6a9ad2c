//! CDRs in SQLite.

use model::{CallId, Cdr};
use rusqlite::{OptionalExtension, ToSql, params};
use serde::Serialize;

use super::Sqlite;
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
        let (sql, values) = list_query(filter, after, limit)?;
        self.query(|tx| {
            let mut list = tx.prepare_cached(&sql)?;
            let values = values.iter().map(|value| &**value).collect::<Vec<_>>();
            let mut rows = list.query(&*values)?;
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

type Values = Vec<Box<dyn ToSql>>;

/// The query for a page, with only those conditions that are asked for.
fn list_query(
    filter: &CdrFilter,
    after: Option<CdrCursor>,
    limit: usize,
) -> Result<(String, Values), StoreError> {
    let mut sql = String::from("SELECT body FROM cdr WHERE true");
    let mut values: Values = Vec::new();
    let mut equal = |column: &str, value: Option<String>| {
        if let Some(value) = value {
            sql.push_str(&format!(" AND {column} = ?"));
            values.push(Box::new(value));
        }
    };
    equal("account", text(filter.account));
    equal("customer", text(filter.customer));
    equal("carrier", text(filter.carrier));
    equal("caller", filter.caller.clone());
    equal("called", filter.called.clone());
    equal("outcome", filter.outcome.as_ref().map(word).transpose()?);
    if let Some(user) = filter.user {
        sql.push_str(" AND ? IN (from_user, to_user)");
        values.push(Box::new(user.to_string()));
    }
    if let Some(from_us) = filter.from_us {
        sql.push_str(" AND end_us >= ?");
        values.push(Box::new(signed(from_us)));
    }
    if let Some(to_us) = filter.to_us {
        sql.push_str(" AND end_us < ?");
        values.push(Box::new(signed(to_us)));
    }
    if let Some(after) = after {
        sql.push_str(" AND (end_us, call) < (?, ?)");
        values.push(Box::new(signed(after.end_us)));
        values.push(Box::new(after.call.to_string()));
    }
    sql.push_str(" ORDER BY end_us DESC, call DESC LIMIT ?");
    values.push(Box::new(i64::try_from(limit).unwrap_or(i64::MAX)));
    Ok((sql, values))
}

fn text(id: Option<impl ToString>) -> Option<String> {
    id.map(|id| id.to_string())
}

/// The name of a unit variant as it stands in JSON.
fn word(value: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(StoreError::Corrupt(format!("{other} is no word"))),
    }
}

/// SQLite's integers are signed; times beyond are as good as the last.
fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

fn corrupt(error: &rusqlite::types::FromSqlError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

const INSERT: &str = "INSERT INTO cdr (end_us, call, account, from_user, to_user, customer, \
    carrier, caller, called, outcome, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
    ON CONFLICT DO NOTHING";
