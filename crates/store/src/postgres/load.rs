//! What another store held, taken over as it was.

use deadpool_postgres::Transaction;
use model::Cdr;

use super::{LOAD_PATIENCE, Postgres, execute, row, rows};
use crate::moving::{AuditRow, Dump, RecordRow, TokenRow};
use crate::{Record, StoreError};

impl Postgres {
    /// Takes over everything of a dump, or nothing; what was taken over before is left alone.
    /// Errors: `Misconfigured` if there is something else already.
    pub(crate) fn load(&self, dump: &Dump) -> Result<(), StoreError> {
        self.write(LOAD_PATIENCE, async |tx| {
            let lock = "SELECT revision FROM platform FOR UPDATE";
            let revision = rows(tx, lock, &[]).await?;
            let found = rows(tx, "SELECT id, revision FROM record ORDER BY id", &[]).await?;
            let revision: i64 = revision.first().map_or(Ok(0), |row| row.try_get(0))?;
            if revision == 0 {
                return take_over(tx, dump).await;
            }
            let mut ours: Vec<_> = dump.records.iter().map(|r| (&*r.id, r.revision)).collect();
            ours.sort_unstable();
            let same = revision == dump.revision
                && ours.len() == found.len()
                && found
                    .iter()
                    .zip(&ours)
                    .all(|(row, ours)| (row.get::<_, &str>(0), row.get::<_, i64>(1)) == *ours);
            if same {
                return Ok(());
            }
            Err(StoreError::Misconfigured(format!(
                "it holds another installation, or this one has changed since it was moved there \
                 (revision {revision} there, {} here)",
                dump.revision
            )))
        })
    }

    /// How many records, tokens and audit entries there are.
    pub(crate) fn counts(&self) -> Result<[u64; 3], StoreError> {
        let count = "SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM token), \
            (SELECT count(*) FROM audit)";
        let found = self.query(async |tx| row(tx, count, &[]).await)?;
        let row = found.ok_or_else(|| StoreError::Corrupt("a count without a row".into()))?;
        let number = |column| row.try_get::<_, i64>(column).map(|n| n as u64);
        Ok([number(0)?, number(1)?, number(2)?])
    }

    /// How many of these CDRs there are.
    pub(crate) fn count_of(&self, cdrs: &[Cdr]) -> Result<u64, StoreError> {
        let calls: Vec<_> = cdrs.iter().map(|cdr| cdr.call.to_string()).collect();
        let count = "SELECT count(*) FROM cdr WHERE call = ANY($1)";
        let found = self.query(async |tx| row(tx, count, &[&calls]).await)?;
        let count = found.map(|row| row.try_get::<_, i64>(0)).transpose()?;
        Ok(count.unwrap_or_default() as u64)
    }
}

async fn take_over(tx: &Transaction<'_>, dump: &Dump) -> Result<(), StoreError> {
    for batch in dump.records.chunks(BATCH) {
        records(tx, batch).await?;
    }
    if let Some((revision, body)) = &dump.settings {
        let insert = "INSERT INTO settings (id, revision, body) VALUES (1, $1, $2)";
        execute(tx, insert, &[revision, body]).await?;
    }
    for token in &dump.tokens {
        take_token(tx, token).await?;
    }
    for batch in dump.audit.chunks(BATCH) {
        audit(tx, batch).await?;
    }
    let revision = "UPDATE platform SET revision = $1";
    execute(tx, revision, &[&dump.revision]).await?;
    Ok(())
}

async fn records(tx: &Transaction<'_>, batch: &[RecordRow]) -> Result<(), StoreError> {
    let id: Vec<_> = batch.iter().map(|r| &*r.id).collect();
    let kind: Vec<_> = batch.iter().map(|r| r.kind.as_str()).collect();
    let revision: Vec<_> = batch.iter().map(|r| r.revision).collect();
    let body: Vec<_> = batch.iter().map(|r| &*r.body).collect();
    let insert = "INSERT INTO record (id, kind, revision, body) \
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[])";
    execute(tx, insert, &[&id, &kind, &revision, &body]).await?;
    let (mut space, mut value, mut holder) = (Vec::new(), Vec::new(), Vec::new());
    let (mut record, mut target) = (Vec::new(), Vec::new());
    let (mut namer, mut named_space, mut named_value) = (Vec::new(), Vec::new(), Vec::new());
    for row in batch {
        let parsed = Record::from_json(row.kind, &row.body)?;
        for unique in parsed.unique_values() {
            space.push(unique.space);
            value.push(unique.value.to_owned());
            holder.push(&*row.id);
        }
        for reference in parsed.references() {
            record.push(&*row.id);
            target.push(reference.id);
        }
        for named in parsed.named() {
            namer.push(&*row.id);
            named_space.push(named.space);
            named_value.push(named.value.to_owned());
        }
    }
    let values = "INSERT INTO record_value (space, value, record) \
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[])";
    execute(tx, values, &[&space, &value, &holder]).await?;
    let references = "INSERT INTO record_reference (record, target) \
        SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING";
    execute(tx, references, &[&record, &target]).await?;
    let names = "INSERT INTO record_reference (record, target) \
        SELECT n.record, v.record FROM unnest($1::text[], $2::text[], $3::text[]) \
        AS n (record, space, value) JOIN record_value v USING (space, value) \
        ON CONFLICT DO NOTHING";
    execute(tx, names, &[&namer, &named_space, &named_value]).await?;
    Ok(())
}

async fn take_token(tx: &Transaction<'_>, token: &TokenRow) -> Result<(), StoreError> {
    execute(
        tx,
        "INSERT INTO token (id, hash, name, role, created_us, last_used_us, expires_us, account, \
         scopes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &token.id,
            &token.hash,
            &token.name,
            &token.role,
            &token.created_us,
            &token.last_used_us,
            &token.expires_us,
            &token.account,
            &token.scopes,
        ],
    )
    .await?;
    Ok(())
}

async fn audit(tx: &Transaction<'_>, batch: &[AuditRow]) -> Result<(), StoreError> {
    let revision: Vec<_> = batch.iter().map(|r| r.revision).collect();
    let at_us: Vec<_> = batch.iter().map(|r| r.at_us).collect();
    let actor: Vec<_> = batch.iter().map(|r| &*r.actor).collect();
    let kind: Vec<_> = batch.iter().map(|r| &*r.kind).collect();
    let record: Vec<_> = batch.iter().map(|r| &*r.record).collect();
    let before: Vec<_> = batch.iter().map(|r| r.before.as_deref()).collect();
    let after: Vec<_> = batch.iter().map(|r| r.after.as_deref()).collect();
    let insert = "INSERT INTO audit (revision, at_us, actor, kind, record, before, after) \
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], \
        $6::text[], $7::text[])";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&revision, &at_us, &actor, &kind, &record, &before, &after];
    execute(tx, insert, &values).await?;
    Ok(())
}

/// Rows that go in one round trip.
const BATCH: usize = 1_000;
