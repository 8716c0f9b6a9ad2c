//! CDRs in PostgreSQL.

use std::borrow::Cow;

use model::{CallId, Cdr};
use tokio_postgres::types::ToSql;

use super::{PATIENCE, Postgres, execute, row, rows};
use crate::cdrs::{Bound, GUESSED, Select, signed, text, word};
use crate::{CdrCursor, CdrFilter, CdrStore, StoreError};

impl CdrStore for Postgres {
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        let columns = Columns::of(cdrs)?;
        self.write(PATIENCE, async |tx| {
            let values = columns.values();
            let mut added = execute(tx, INSERT, &values).await?;
            if added < cdrs.len() as u64 {
                execute(tx, REMOVE_GUESSES, &[&columns.known, &GUESSED]).await?;
                added += execute(tx, INSERT, &values).await?;
            }
            Ok(added as usize)
        })
    }

    fn list(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
    ) -> Result<Vec<Cdr>, StoreError> {
        let filter = CdrFilter {
            caller: filter.caller.as_deref().map(|name| name_of(name).into()),
            called: filter.called.as_deref().map(|name| name_of(name).into()),
            ..filter.clone()
        };
        let Select { sql, values } = Select::of(&filter, after, limit)?;
        let values = values.iter().map(bound).collect::<Vec<_>>();
        let rows = self.query(async |tx| rows(tx, &sql, &values).await)?;
        rows.iter()
            .map(|row| Ok(serde_json::from_str(row.try_get(0)?)?))
            .collect()
    }

    fn remove_before(&self, end_us: u64, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // Several nodes may do so at once: each takes those that no other has.
        let delete = "DELETE FROM cdr WHERE (end_us, call) IN
            (SELECT end_us, call FROM cdr WHERE end_us < $1 ORDER BY end_us, call LIMIT $2
             FOR UPDATE SKIP LOCKED)";
        self.write(PATIENCE, async |tx| {
            let deleted = execute(tx, delete, &[&signed(end_us), &limit]).await?;
            Ok(deleted as usize)
        })
    }

    fn get(&self, call: CallId) -> Result<Option<Cdr>, StoreError> {
        let select = "SELECT body FROM cdr WHERE call = $1";
        let found = self.query(async |tx| row(tx, select, &[&call.to_string()]).await)?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(serde_json::from_str(row.try_get(0)?)?))
    }
}

/// A batch of records by column, so that it goes in one round trip.
#[derive(Default)]
struct Columns<'a> {
    end_us: Vec<i64>,
    call: Vec<String>,
    account: Vec<Option<String>>,
    from_user: Vec<Option<String>>,
    to_user: Vec<Option<String>>,
    customer: Vec<Option<String>>,
    carrier: Vec<Option<String>>,
    caller: Vec<Cow<'a, str>>,
    called: Vec<Cow<'a, str>>,
    outcome: Vec<String>,
    body: Vec<String>,
    /// Those of them that are not guessed.
    known: Vec<String>,
}

impl<'a> Columns<'a> {
    fn of(cdrs: &'a [Cdr]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for cdr in cdrs {
            columns.end_us.push(signed(cdr.end_us));
            columns.call.push(cdr.call.to_string());
            columns.account.push(text(cdr.account));
            columns.from_user.push(text(cdr.from_user));
            columns.to_user.push(text(cdr.to_user));
            columns.customer.push(text(cdr.customer));
            columns.carrier.push(text(cdr.carrier));
            columns.caller.push(name_of(&cdr.caller));
            columns.called.push(name_of(&cdr.called));
            columns.outcome.push(word(&cdr.outcome)?);
            let body = serde_json::to_string(cdr)?;
            if !body.contains(GUESSED) {
                columns.known.push(cdr.call.to_string());
            }
            columns.body.push(body);
        }
        Ok(columns)
    }

    /// As [`INSERT`] wants them.
    fn values(&self) -> [&(dyn ToSql + Sync); 11] {
        [
            &self.end_us,
            &self.call,
            &self.account,
            &self.from_user,
            &self.to_user,
            &self.customer,
            &self.carrier,
            &self.caller,
            &self.called,
            &self.outcome,
            &self.body,
        ]
    }
}

/// A name as it stands in a column. PostgreSQL holds no U+0000, which a peer may send; a CDR that
/// it refused would keep all later ones in the journal. In the body it stands escaped.
fn name_of(name: &str) -> Cow<'_, str> {
    if name.contains('\0') {
        name.replace('\0', "\u{fffd}").into()
    } else {
        name.into()
    }
}

fn bound(value: &Bound) -> &(dyn ToSql + Sync) {
    match value {
        Bound::Text(text) => text,
        Bound::Integer(integer) => integer,
    }
}

const INSERT: &str = "INSERT INTO cdr (end_us, call, account, from_user, to_user, customer, \
    carrier, caller, called, outcome, body) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], \
    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[]) \
    ON CONFLICT DO NOTHING";
/// Records of these calls that were closed by a node that could not know better.
const REMOVE_GUESSES: &str = "DELETE FROM cdr WHERE call = ANY($1) AND strpos(body, $2) > 0";
