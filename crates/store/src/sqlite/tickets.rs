//! Tickets in SQLite.

use clock::Time;
use rusqlite::{Row, Transaction, params};

use crate::{StoreError, Ticket};

pub(super) fn add(tx: &Transaction<'_>, ticket: &Ticket, now: Time) -> Result<bool, StoreError> {
    tx.prepare_cached("DELETE FROM ticket WHERE ends_us <= ?")?
        .execute([now.as_micros() as i64])?;
    let added = tx
        .prepare_cached(
            "INSERT INTO ticket (space, key, ends_us, body) VALUES (?, ?, ?, ?) \
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            ticket.space,
            ticket.key,
            ticket.ends_us as i64,
            ticket.body
        ])?;
    Ok(added > 0)
}

pub(super) fn one(
    tx: &Transaction<'_>,
    space: &str,
    key: &str,
    now: Time,
) -> Result<Option<Ticket>, StoreError> {
    let mut select = tx.prepare_cached(&format!(
        "{SELECT} WHERE space = ? AND key = ? AND ends_us > ?"
    ))?;
    let mut rows = select.query(params![space, key, now.as_micros() as i64])?;
    Ok(rows.next()?.map(read).transpose()?)
}

pub(super) fn all(tx: &Transaction<'_>, space: &str, now: Time) -> Result<Vec<Ticket>, StoreError> {
    let mut select = tx.prepare_cached(&format!(
        "{SELECT} WHERE space = ? AND ends_us > ? ORDER BY ends_us, key"
    ))?;
    let rows = select.query_map(params![space, now.as_micros() as i64], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn remove(tx: &Transaction<'_>, space: &str, key: &str) -> Result<bool, StoreError> {
    let removed = tx
        .prepare_cached("DELETE FROM ticket WHERE space = ? AND key = ?")?
        .execute([space, key])?;
    Ok(removed > 0)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Ticket> {
    Ok(Ticket {
        space: row.get(0)?,
        key: row.get(1)?,
        ends_us: row.get::<_, i64>(2)? as u64,
        body: row.get(3)?,
    })
}

const SELECT: &str = "SELECT space, key, ends_us, body FROM ticket";
