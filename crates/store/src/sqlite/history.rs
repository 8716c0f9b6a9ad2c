//! History in SQLite.

use model::{Sample, ServerId};
use rusqlite::{OptionalExtension, params};

use super::Sqlite;
use crate::cdrs::signed;
use crate::history::server_of;
use crate::{HistoryStore, Span, StoreError};

impl HistoryStore for Sqlite {
    fn keep_samples(&self, server: ServerId, samples: &[Sample]) -> Result<(), StoreError> {
        self.change(|tx| {
            let mut keep = tx.prepare_cached(
                "INSERT INTO sample (at_us, server, body) VALUES (?, ?, ?) \
                 ON CONFLICT (at_us, server) DO UPDATE SET body = excluded.body",
            )?;
            for sample in samples {
                let body = serde_json::to_string(sample)?;
                keep.execute(params![signed(sample.at_us), server.to_string(), body])?;
            }
            Ok(())
        })
    }

    fn samples(
        &self,
        span: &Span,
        after: Option<(u64, ServerId)>,
        limit: usize,
    ) -> Result<Vec<(ServerId, Sample)>, StoreError> {
        let (after_us, after) = match after {
            Some((at_us, server)) => (signed(at_us), server.to_string()),
            None => (-1, String::new()),
        };
        // What is asked of one server has an index of its own.
        let (sql, server) = match span.server {
            Some(server) => (OF_ONE, server.to_string()),
            None => (OF_ALL, String::new()),
        };
        self.query(|tx| {
            let mut select = tx.prepare_cached(sql)?;
            let mut rows = select.query(params![
                signed(span.from_us),
                signed(span.to_us),
                after_us,
                after,
                i64::try_from(limit).unwrap_or(i64::MAX),
                server,
            ])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let (server, body): (String, String) = (row.get(0)?, row.get(1)?);
                found.push((server_of(&server)?, serde_json::from_str(&body)?));
            }
            Ok(found)
        })
    }

    fn newest_sample(&self, server: ServerId) -> Result<Option<u64>, StoreError> {
        self.query(|tx| {
            let newest: Option<i64> = tx
                .prepare_cached("SELECT at_us FROM sample WHERE server = ? ORDER BY at_us DESC")?
                .query_row([server.to_string()], |row| row.get(0))
                .optional()?;
            Ok(newest.map(|at_us| at_us as u64))
        })
    }

    fn forget_samples(&self, before_us: u64) -> Result<usize, StoreError> {
        self.change(|tx| {
            let forgotten = tx
                .prepare_cached("DELETE FROM sample WHERE at_us < ?")?
                .execute([signed(before_us)])?;
            Ok(forgotten)
        })
    }
}

const OF_ALL: &str = "SELECT server, body FROM sample \
    WHERE at_us >= ?1 AND at_us < ?2 AND (at_us, server) > (?3, ?4) AND ?6 = '' \
    ORDER BY at_us, server LIMIT ?5";
const OF_ONE: &str = "SELECT server, body FROM sample \
    WHERE server = ?6 AND at_us >= ?1 AND at_us < ?2 AND (at_us, server) > (?3, ?4) \
    ORDER BY at_us LIMIT ?5";
