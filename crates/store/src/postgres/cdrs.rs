//! CDRs in PostgreSQL.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use model::{CallId, Cdr, CdrOutcome};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::{PATIENCE, Postgres, execute, row, rows};
use crate::cdrs::{self, Bound, GUESSED, Place, Select, Span, signed, text, word};
use crate::{CdrCursor, CdrFilter, CdrSearch, CdrStore, StoreError};

impl CdrStore for Postgres {
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        let columns = Columns::of(cdrs)?;
        self.write(PATIENCE, async |tx| {
            let values = columns.values();
            let mut added = execute(tx, INSERT, &values).await?;
            if added < cdrs.len() as u64 {
                let known: [&(dyn ToSql + Sync); 4] = [
                    &columns.known,
                    &columns.known_end_us,
                    &columns.is_answered,
                    &GUESSED,
                ];
                execute(tx, REMOVE_MISTAKEN, &known).await?;
                added += execute(tx, INSERT, &values).await?;
            }
            Ok(added as usize)
        })
    }

    fn search(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<CdrSearch, StoreError> {
        let started = Instant::now();
        let filter = CdrFilter {
            caller: filter.caller.as_deref().map(|name| name_of(name).into()),
            called: filter.called.as_deref().map(|name| name_of(name).into()),
            ..filter.clone()
        };
        // Nearly always an index leads to what is looked for.
        let select = Select::of(&filter, after, limit)?;
        if let Some(found) = self.read_within(&select, patience / 2)? {
            return Ok(CdrSearch::complete(found));
        }
        self.search_in_steps(&filter, after, limit, started + patience)
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

impl Postgres {
    /// The records of a query, if that takes no longer.
    fn read_within(
        &self,
        select: &Select,
        patience: Duration,
    ) -> Result<Option<Vec<Cdr>>, StoreError> {
        // 0 would mean for ever.
        if patience.as_millis() == 0 {
            return Ok(None);
        }
        let values = select.values.iter().map(bound).collect::<Vec<_>>();
        let set = format!("SET LOCAL statement_timeout = {}", patience.as_millis());
        let rows = self.query(async |tx| {
            // Before there is a limit: a server that is busy may take longer to read a query it
            // does not know than there is time to answer it.
            let statement = tx.prepare_cached(&select.sql).await?;
            tx.batch_execute(&set).await?;
            match tx.query(&statement, &values).await {
                Ok(rows) => Ok(Some(rows)),
                Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        rows.as_deref().map(records).transpose()
    }

    /// Looks through the table from the newest record to the oldest, in steps that grow as long as
    /// there is time. At least one.
    fn search_in_steps(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
        until: Instant,
    ) -> Result<CdrSearch, StoreError> {
        let from_us = filter.from_us.map_or(i64::MIN, signed);
        let mut found = Vec::new();
        let mut up_to = cdrs::until(filter, after);
        let mut step = self.step_rows;
        loop {
            let began = Instant::now();
            let (end_us, call) = up_to.clone().unwrap_or((i64::MAX, LAST_CALL.into()));
            let (part, behind) = self.query(async |tx| {
                let behind = row(tx, PLACE_BEFORE, &[&end_us, &call, &from_us, &step]).await?;
                let behind: Option<Place> = match behind {
                    Some(row) => Some((row.try_get(0)?, row.try_get(1)?)),
                    None => None,
                };
                let span = Span {
                    behind: behind.clone(),
                    up_to: up_to.clone(),
                };
                let left = limit - found.len();
                let Select { sql, values } = Select::within(filter, span, after, left)?;
                let values = values.iter().map(bound).collect::<Vec<_>>();
                Ok((rows(tx, &sql, &values).await?, behind))
            })?;
            found.extend(records(&part)?);
            let Some(behind) = behind.filter(|_| found.len() < limit) else {
                return Ok(CdrSearch::complete(found));
            };
            let now = Instant::now();
            if now >= until {
                let go_on = Some(CdrCursor::at(&behind)?);
                return Ok(CdrSearch { found, go_on });
            }
            if (now - began) * 4 < until - now {
                step *= 2;
            }
            up_to = Some(behind);
        }
    }
}

fn records(rows: &[Row]) -> Result<Vec<Cdr>, StoreError> {
    rows.iter()
        .map(|row| Ok(serde_json::from_str(row.try_get(0)?)?))
        .collect()
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
    /// Those of them that are not guessed, when they ended, and whether they were answered.
    known: Vec<String>,
    known_end_us: Vec<i64>,
    is_answered: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn of(cdrs: &'a [Cdr]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        let mut bodies = Vec::with_capacity(cdrs.len());
        for cdr in cdrs {
            bodies.push((cdr, serde_json::to_string(cdr)?));
        }
        // Of two that are of one call, the first is stored.
        bodies.sort_by_key(|(cdr, body)| {
            let is_answered = cdr.outcome == CdrOutcome::Answered;
            (body.contains(GUESSED), !is_answered, cdr.end_us)
        });
        for (cdr, body) in bodies {
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
            if !body.contains(GUESSED) {
                columns.known.push(cdr.call.to_string());
                columns.known_end_us.push(signed(cdr.end_us));
                let is_answered = cdr.outcome == CdrOutcome::Answered;
                columns.is_answered.push(is_answered);
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
/// Records of these calls that were closed by a node that could not know better: it had been started
/// again, or the call had ended elsewhere before.
const REMOVE_MISTAKEN: &str = "DELETE FROM cdr \
    USING unnest($1::text[], $2::bigint[], $3::boolean[]) AS known (call, end_us, is_answered) \
    WHERE cdr.call = known.call AND (strpos(cdr.body, $4) > 0 \
    OR (known.is_answered AND known.end_us < cdr.end_us))";
/// The record that is so many places older than another one.
const PLACE_BEFORE: &str = "SELECT end_us, call FROM cdr WHERE (end_us, call) <= ($1, $2) \
    AND end_us >= $3 ORDER BY end_us DESC, call DESC LIMIT 1 OFFSET $4";
/// Records of the first step of a search that no index leads: some milliseconds.
pub(super) const STEP_ROWS: i64 = 4_096;
/// Behind every call, whose identifiers are digits and letters of ASCII.
const LAST_CALL: &str = "~";
