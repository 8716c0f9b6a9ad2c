//! History in PostgreSQL.

use model::{Sample, ServerId};
use tokio_postgres::types::ToSql;

use super::{PATIENCE, Postgres, execute, row, rows};
use crate::cdrs::signed;
use crate::history::server_of;
use crate::{HistoryStore, Span, StoreError};

impl HistoryStore for Postgres {
    fn keep_samples(&self, server: ServerId, samples: &[Sample]) -> Result<(), StoreError> {
        let at_us: Vec<_> = samples.iter().map(|sample| signed(sample.at_us)).collect();
        let bodies: Result<Vec<_>, _> = samples.iter().map(serde_json::to_string).collect();
        let bodies = bodies?;
        self.write(PATIENCE, async |tx| {
            let keep = "INSERT INTO sample (at_us, server, body) \
                SELECT at_us, $1, body FROM unnest($2::bigint[], $3::text[]) AS s (at_us, body) \
                ON CONFLICT (at_us, server) DO UPDATE SET body = excluded.body";
            execute(tx, keep, &[&server.to_string(), &at_us, &bodies]).await?;
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
        let (from_us, to_us) = (signed(span.from_us), signed(span.to_us));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let server = span.server.map(|server| server.to_string());
        let mut values: Vec<&(dyn ToSql + Sync)> =
            vec![&from_us, &to_us, &after_us, &after, &limit];
        let sql = match &server {
            Some(server) => {
                values.push(server);
                OF_ONE
            }
            None => OF_ALL,
        };
        let found = self.query(async |tx| rows(tx, sql, &values).await)?;
        let sample = |row: &tokio_postgres::Row| {
            let sample = serde_json::from_str(row.try_get(1)?)?;
            Ok((server_of(row.try_get(0)?)?, sample))
        };
        found.iter().map(sample).collect()
    }

    fn newest_sample(&self, server: ServerId) -> Result<Option<u64>, StoreError> {
        let select = "SELECT at_us FROM sample WHERE server = $1 ORDER BY at_us DESC LIMIT 1";
        let found = self.query(async |tx| row(tx, select, &[&server.to_string()]).await)?;
        let newest = found.map(|row| row.try_get::<_, i64>(0)).transpose()?;
        Ok(newest.map(|at_us| at_us as u64))
    }

    fn forget_samples(&self, before_us: u64) -> Result<usize, StoreError> {
        // Several nodes may do so at once: each takes those that no other has.
        let forget = "DELETE FROM sample WHERE (at_us, server) IN \
            (SELECT at_us, server FROM sample WHERE at_us < $1 FOR UPDATE SKIP LOCKED)";
        self.write(PATIENCE, async |tx| {
            let forgotten = execute(tx, forget, &[&signed(before_us)]).await?;
            Ok(forgotten as usize)
        })
    }
}

const OF_ALL: &str = "SELECT server, body FROM sample \
    WHERE at_us >= $1 AND at_us < $2 AND (at_us, server) > ($3, $4) \
    ORDER BY at_us, server LIMIT $5";
const OF_ONE: &str = "SELECT server, body FROM sample \
    WHERE server = $6 AND at_us >= $1 AND at_us < $2 AND (at_us, server) > ($3, $4) \
    ORDER BY at_us LIMIT $5";
