//! Tickets in PostgreSQL.

use clock::Time;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::{execute, row, rows};
use crate::{StoreError, Ticket};

pub(super) async fn add(
    tx: &Transaction<'_>,
    ticket: &Ticket,
    now: Time,
) -> Result<bool, StoreError> {
    let ended = "DELETE FROM ticket WHERE ends_us <= $1";
    execute(tx, ended, &[&(now.as_micros() as i64)]).await?;
    let insert = "INSERT INTO ticket (space, key, ends_us, body) VALUES ($1, $2, $3, $4) \
        ON CONFLICT DO NOTHING";
    let Ticket {
        space, key, body, ..
    } = ticket;
    let added = execute(tx, insert, &[space, key, &(ticket.ends_us as i64), body]).await?;
    Ok(added > 0)
}

pub(super) async fn one(
    tx: &Transaction<'_>,
    space: &str,
    key: &str,
    now: Time,
) -> Result<Option<Ticket>, StoreError> {
    let select = format!("{SELECT} WHERE space = $1 AND key = $2 AND ends_us > $3");
    let found = row(tx, &select, &[&space, &key, &(now.as_micros() as i64)]).await?;
    found.as_ref().map(read).transpose()
}

pub(super) async fn all(
    tx: &Transaction<'_>,
    space: &str,
    now: Time,
) -> Result<Vec<Ticket>, StoreError> {
    let select = format!("{SELECT} WHERE space = $1 AND ends_us > $2 ORDER BY ends_us, key");
    let found = rows(tx, &select, &[&space, &(now.as_micros() as i64)]).await?;
    found.iter().map(read).collect()
}

pub(super) async fn remove(
    tx: &Transaction<'_>,
    space: &str,
    key: &str,
) -> Result<bool, StoreError> {
    let delete = "DELETE FROM ticket WHERE space = $1 AND key = $2";
    Ok(execute(tx, delete, &[&space, &key]).await? > 0)
}

fn read(row: &Row) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        space: row.try_get(0)?,
        key: row.try_get(1)?,
        ends_us: row.try_get::<_, i64>(2)? as u64,
        body: row.try_get(3)?,
    })
}

const SELECT: &str = "SELECT space, key, ends_us, body FROM ticket";
