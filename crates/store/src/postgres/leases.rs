//! Leases in PostgreSQL, by its clock.

use std::time::Duration;

use super::{PATIENCE, Postgres, execute, row, rows};
use crate::StoreError;
use crate::leases::{Lease, Leases};

impl Leases for Postgres {
    fn hold_lease(
        &self,
        duty: &str,
        owner: &str,
        term: Duration,
    ) -> Result<Option<u64>, StoreError> {
        let term_us = term.as_micros() as i64;
        self.write(PATIENCE, async |tx| {
            let held = row(tx, HOLD, &[&duty, &owner, &term_us]).await?;
            Ok(held
                .map(|row| row.try_get::<_, i64>(0))
                .transpose()?
                .map(|fence| fence as u64))
        })
    }

    fn release_lease(&self, duty: &str, owner: &str) -> Result<(), StoreError> {
        let release = "UPDATE lease SET until = clock_timestamp() \
            WHERE duty = $1 AND owner = $2 AND until > clock_timestamp()";
        self.write(PATIENCE, async |tx| {
            execute(tx, release, &[&duty, &owner]).await.map(|_| ())
        })
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let select = "SELECT duty, owner, fence, \
            (extract(epoch FROM until - clock_timestamp()) * 1000000)::bigint \
            FROM lease WHERE until > clock_timestamp() ORDER BY duty";
        let found = self.query(async |tx| rows(tx, select, &[]).await)?;
        let lease = |row: &tokio_postgres::Row| -> Result<Lease, StoreError> {
            Ok(Lease {
                duty: row.try_get(0)?,
                owner: row.try_get(1)?,
                fence: row.try_get::<_, i64>(2)? as u64,
                left: Duration::from_micros(row.try_get::<_, i64>(3)?.max(0) as u64),
            })
        };
        found.iter().map(lease).collect()
    }

    fn leave_note(&self, duty: &str, fence: u64, note: &str) -> Result<bool, StoreError> {
        let leave = "UPDATE lease SET note = $3 \
            WHERE duty = $1 AND fence = $2 AND until > clock_timestamp()";
        self.write(PATIENCE, async |tx| {
            Ok(execute(tx, leave, &[&duty, &(fence as i64), &note]).await? > 0)
        })
    }

    fn note(&self, duty: &str) -> Result<Option<String>, StoreError> {
        let select = "SELECT note FROM lease WHERE duty = $1";
        let found = self.query(async |tx| row(tx, select, &[&duty]).await)?;
        Ok(found.map(|row| row.try_get(0)).transpose()?.flatten())
    }
}

/// The row is locked from the look at its end to the change of its owner: of two that take a lease at
/// once, the second finds the first.
const HOLD: &str = "INSERT INTO lease (duty, owner, fence, until)
    VALUES ($1, $2, 1, clock_timestamp() + $3::bigint * interval '1 microsecond')
    ON CONFLICT (duty) DO UPDATE SET
        fence = lease.fence + CASE
            WHEN lease.owner = EXCLUDED.owner AND lease.until > clock_timestamp() THEN 0 ELSE 1 END,
        owner = EXCLUDED.owner,
        until = clock_timestamp() + $3::bigint * interval '1 microsecond'
    WHERE lease.owner = EXCLUDED.owner OR lease.until <= clock_timestamp()
    RETURNING fence";
