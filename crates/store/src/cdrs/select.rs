//! The query for a page of CDRs, in the SQL that all adapters know.

use serde::Serialize;

use super::{CdrCursor, CdrFilter};
use crate::StoreError;

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
        let mut select = Self {
            sql: String::from("SELECT body FROM cdr WHERE true"),
            values: Vec::new(),
        };
        select.equal("account", text(filter.account));
        select.equal("customer", text(filter.customer));
        select.equal("carrier", text(filter.carrier));
        select.equal("caller", filter.caller.clone());
        select.equal("called", filter.called.clone());
        select.equal("outcome", filter.outcome.as_ref().map(word).transpose()?);
        if let Some(user) = filter.user {
            let user = select.bind(Bound::Text(user.to_string()));
            select.and(&format!("{user} IN (from_user, to_user)"));
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
            let end = select.bind(Bound::Integer(signed(after.end_us)));
            let call = select.bind(Bound::Text(after.call.to_string()));
            select.and(&format!("(end_us, call) < ({end}, {call})"));
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
