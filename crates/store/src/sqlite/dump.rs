//! A SQLite file as another store takes it over.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::Sqlite;
use crate::moving::{AuditRow, Dump, RecordRow, TokenRow};
use crate::{Kind, StoreError};

impl Sqlite {
    /// Everything but the CDRs, as of one moment.
    pub(crate) fn dump(&self) -> Result<Dump, StoreError> {
        self.query(|tx| {
            let mut records = Vec::new();
            for kind in Kind::RECORDS {
                records.extend(of_kind(tx, kind)?);
            }
            Ok(Dump {
                revision: tx.query_row("SELECT revision FROM platform", [], |row| row.get(0))?,
                records,
                settings: tx
                    .query_row("SELECT revision, body FROM settings", [], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?,
                tokens: all(tx, TOKENS, token)?,
                audit: all(tx, AUDIT, entry)?,
            })
        })
    }

    /// How many CDRs there are.
    pub(crate) fn count_cdrs(&self) -> Result<u64, StoreError> {
        self.query(|tx| {
            let count: i64 = tx.query_row("SELECT count(*) FROM cdr", [], |row| row.get(0))?;
            Ok(count as u64)
        })
    }
}

fn of_kind(tx: &Transaction<'_>, kind: Kind) -> Result<Vec<RecordRow>, StoreError> {
    let mut select =
        tx.prepare("SELECT id, revision, body FROM record WHERE kind = ? ORDER BY id")?;
    let rows = select.query_map([kind.as_str()], |row| {
        Ok(RecordRow {
            id: row.get(0)?,
            kind,
            revision: row.get(1)?,
            body: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn all<T>(
    tx: &Transaction<'_>,
    sql: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut select = tx.prepare(sql)?;
    let rows = select.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn token(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: row.get(0)?,
        hash: row.get(1)?,
        name: row.get(2)?,
        role: row.get(3)?,
        created_us: row.get(4)?,
        last_used_us: row.get(5)?,
        expires_us: row.get(6)?,
        account: row.get(7)?,
        scopes: row.get(8)?,
    })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        revision: row.get(0)?,
        at_us: row.get(1)?,
        actor: row.get(2)?,
        kind: row.get(3)?,
        record: row.get(4)?,
        before: row.get(5)?,
        after: row.get(6)?,
    })
}

const TOKENS: &str = "SELECT id, hash, name, role, created_us, last_used_us, expires_us, account, \
    scopes FROM token";
const AUDIT: &str = "SELECT revision, at_us, actor, kind, record, before, after FROM audit";
