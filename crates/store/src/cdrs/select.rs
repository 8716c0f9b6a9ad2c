//! The query for a page of CDRs, in the SQL that all adapters know.

use serde::Serialize;

use super::{CdrCursor, CdrFilter};
use crate::StoreError;

/// A place in the order of the table: when a call ended, and the call.
pub(crate) type Place = (i64, String);

/// The part of the table behind one place, up to and with another; open where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) behind: Option<Place>,
    pub(crate) up_to: Option<Place>,
}

/// A query with the values of its parameters `$1`, `$2` and so on.
#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) sql: String,
    pub(crate) values: Vec<Bound>,
}

/// The value of a parameter.
#[derive(Debug)]
pub(crate) enum Bound {
    Text(String),
    Integer(i64),
}

impl Select {
    /// Asks for the bodies of a page, with only those conditions that are asked for.
    pub(crate) fn of(
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
    ) -> Result<Self, StoreError> {
        Self::within(filter, Span::default(), after, limit)
    }

    /// The same in a part of the table.
    pub(crate) fn within(
        filter: &CdrFilter,
        span: Span,
        after: Option<CdrCursor>,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let mut select = Self {
            sql: String::from("SELECT body FROM cdr WHERE true"),
            values: Vec::new(),
        };
        select.equal("account", text(filter.account));
        select.equal("customer", text(filter.customer));
        select.equal("carrier", text(filter.carrier));
        select.equal_name("caller", filter.caller.clone());
        select.equal_name("called", filter.called.clone());
        select.equal("outcome", filter.outcome.as_ref().map(word).transpose()?);
        if let Some(user) = filter.user {
            let user = select.bind(Bound::Text(user.to_string()));
            // Each side by itself, so that each can have its index.
            select.and(&format!("(from_user = {user} OR to_user = {user})"));
        }
        if let Some(from_us) = filter.from_us {
            let from = select.bind(Bound::Integer(signed(from_us)));
            select.and(&format!("end_us >= {from}"));
        }
        if let Some(to_us) = filter.to_us {
            let to = select.bind(Bound::Integer(signed(to_us)));
            select.and(&format!("end_us < {to}"));
        }
        if let Some(after) = after {
            select.compare("<", (signed(after.end_us), after.call.to_string()));
        }
        if let Some(place) = span.up_to {
            select.compare("<=", place);
        }
        if let Some(place) = span.behind {
            select.compare(">", place);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let limit = select.bind(Bound::Integer(limit));
        let order = format!(" ORDER BY end_us DESC, call DESC LIMIT {limit}");
        select.sql.push_str(&order);
        Ok(select)
    }

    fn equal(&mut self, column: &str, value: Option<String>) {
        if let Some(value) = value {
            let value = self.bind(Bound::Text(value));
            self.and(&format!("{column} = {value}"));
        }
    }

    /// For columns of which only the front is in an index, as peers choose their length.
    fn equal_name(&mut self, column: &str, value: Option<String>) {
        if let Some(value) = value {
            let value = self.bind(Bound::Text(value));
            self.and(&format!(
                "{column} = {value} AND substr({column}, 1, {FRONT}) = substr(CAST({value} AS TEXT), 1, {FRONT})"
            ));
        }
    }

    fn compare(&mut self, operator: &str, (end_us, call): Place) {
        let end = self.bind(Bound::Integer(end_us));
        let call = self.bind(Bound::Text(call));
        self.and(&format!("(end_us, call) {operator} ({end}, {call})"));
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// The name of a new parameter.
    fn bind(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }
}

/// The place before which, or at which, everything stands that is asked for.
pub(crate) fn until(filter: &CdrFilter, after: Option<CdrCursor>) -> Option<Place> {
    let after = after.map(|after| (signed(after.end_us), after.call.to_string()));
    let to = filter.to_us.map(|to_us| (signed(to_us), String::new()));
    after.into_iter().chain(to).min()
}

/// An identifier as it stands in a column.
pub(crate) fn text(id: Option<impl ToString>) -> Option<String> {
    id.map(|id| id.to_string())
}

/// The name of a unit variant as it stands in JSON.
pub(crate) fn word(value: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(StoreError::Corrupt(format!("{other} is no word"))),
    }
}

/// Integers of SQL are signed; times beyond are as good as the last.
pub(crate) fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// Characters of a name that are in an index, as the migration of PostgreSQL says.
const FRONT: usize = 64;
