//! Leases in SQLite, by the clock of the machine: its one control always finds them its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, params};

use super::Sqlite;
use crate::StoreError;
use crate::leases::{Lease, Leases};

impl Leases for Sqlite {
    fn hold_lease(
        &self,
        duty: &str,
        owner: &str,
        term: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.change(|tx| {
            let now_us = now_us();
            let until_us = now_us + term.as_micros() as i64;
            let held = tx
                .prepare_cached(HOLD)?
                .query_row(params![duty, owner, until_us, now_us], |row| {
                    row.get::<_, i64>(0)
                })
                .optional()?;
            Ok(held.map(|fence| fence as u64))
        })
    }

    fn release_lease(&self, duty: &str, owner: &str) -> Result<(), StoreError> {
        let release = "UPDATE lease SET until_us = ?3 \
            WHERE duty = ?1 AND owner = ?2 AND until_us > ?3";
        self.change(|tx| {
            tx.prepare_cached(release)?
                .execute(params![duty, owner, now_us()])?;
            Ok(())
        })
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let select = "SELECT duty, owner, fence, until_us - ?1 FROM lease \
            WHERE until_us > ?1 ORDER BY duty";
        self.query(|tx| {
            let mut select = tx.prepare_cached(select)?;
            let rows = select.query_map([now_us()], |row| {
                Ok(Lease {
                    duty: row.get(0)?,
                    owner: row.get(1)?,
                    fence: row.get::<_, i64>(2)? as u64,
                    left: Duration::from_micros(row.get::<_, i64>(3)? as u64),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn leave_note(&self, duty: &str, fence: u64, note: &str) -> Result<bool, StoreError> {
        let leave = "UPDATE lease SET note = ?3 WHERE duty = ?1 AND fence = ?2 AND until_us > ?4";
        self.change(|tx| {
            let left =
                tx.prepare_cached(leave)?
                    .execute(params![duty, fence as i64, note, now_us()])?;
            Ok(left > 0)
        })
    }

    fn note(&self, duty: &str) -> Result<Option<String>, StoreError> {
        self.query(|tx| {
            let note = tx
                .prepare_cached("SELECT note FROM lease WHERE duty = ?")?
                .query_row([duty], |row| row.get::<_, Option<String>>(0))
                .optional()?;
            Ok(note.flatten())
        })
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_micros() as i64
}

const HOLD: &str = "INSERT INTO lease (duty, owner, fence, until_us) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT (duty) DO UPDATE SET
        fence = lease.fence + CASE WHEN lease.owner = ?2 AND lease.until_us > ?4 THEN 0 ELSE 1 END,
        owner = ?2,
        until_us = ?3
    WHERE lease.owner = ?2 OR lease.until_us <= ?4
    RETURNING fence";
