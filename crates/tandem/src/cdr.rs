//! `tandem cdr`: records of calls that have ended.

use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::account::ACCOUNT;
use crate::carrier::CARRIER;
use crate::client::{Client, encode};
use crate::customer::CUSTOMER;
use crate::failure::Failure;
use crate::global::Global;
use crate::moment::{now_us, span_us, text};
use crate::output::{self, Column};
use crate::records::{LIST_LIMIT, id_of, pages_with};
use crate::user::USER;

/// What can be done with CDRs.
#[derive(Subcommand, Debug)]
pub(crate) enum CdrCommand {
    /// Lists them, the latest first
    List {
        #[command(flatten)]
        flags: CdrFlags,
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
    /// Shows one with all its fields
    Show {
        /// The call's identifier
        call: String,
    },
    /// Writes all that match as CSV
    Export {
        #[command(flatten)]
        flags: CdrFlags,
        /// How many at most
        #[arg(long)]
        limit: Option<usize>,
        /// Where to, instead of standard output
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Has control write all that match to a file, which is kept for seven days
    Order {
        #[command(flatten)]
        flags: CdrFlags,
        /// The columns of the file, as the first line of an export names them, separated by commas
        #[arg(long, value_delimiter = ',')]
        columns: Vec<String>,
    },
    /// Lists what was ordered
    Orders,
    /// Writes the file of what was ordered, once it is there
    Fetch {
        /// Its identifier
        export: String,
        /// Where to, instead of standard output
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Ends what was ordered, and removes its file
    Drop {
        /// Its identifier
        export: String,
    },
}

/// Which CDRs.
#[derive(Args, Debug)]
pub(crate) struct CdrFlags {
    /// Who pays
    #[arg(long)]
    account: Option<String>,
    /// The user who called or was called
    #[arg(long)]
    user: Option<String>,
    /// The customer who sent the call
    #[arg(long)]
    customer: Option<String>,
    /// The carrier it went to, or came from
    #[arg(long)]
    carrier: Option<String>,
    /// The caller, exactly
    #[arg(long)]
    caller: Option<String>,
    /// The called party, exactly
    #[arg(long)]
    called: Option<String>,
    /// How the call ended
    #[arg(long, value_parser = ["answered", "busy", "no-answer", "cancelled", "failed"])]
    outcome: Option<String>,
    /// Ended within this time before now, as 90s, 15m, 24h or 7d
    #[arg(long, value_parser = span_us, conflicts_with = "from_us")]
    since: Option<u64>,
    /// Ended then or later; microseconds since the Unix epoch
    #[arg(long)]
    from_us: Option<u64>,
    /// Ended before; microseconds since the Unix epoch
    #[arg(long)]
    to_us: Option<u64>,
}

/// Does it.
pub(crate) fn run(global: &Global, command: CdrCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        CdrCommand::List { flags, limit } => {
            let query = query(&client, &flags)?;
            let query: Vec<(&str, &str)> = query
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let mut searches = Searches::default();
            let look = |page: &Value| searches.note(page);
            let found = pages_with(&client, "/v1/cdrs", &query, limit, look)?;
            output::list(global, &found, COLUMNS)
        }
        CdrCommand::Show { call } => {
            let path = format!("/v1/cdrs/{}", encode(&call));
            output::object(global, &client.read(&path, &[])?.body)
        }
        CdrCommand::Export { flags, limit, file } => {
            let mut query = query(&client, &flags)?;
            query.extend(limit.map(|limit| ("limit", limit.to_string())));
            export(&client, &query, file.as_deref())
        }
        CdrCommand::Order { flags, columns } => {
            let filter = query(&client, &flags)?.into_iter().map(as_wish).collect();
            let wish = json!({ "filter": Value::Object(filter), "columns": columns });
            output::object(global, &client.create(ORDERS, &wish)?.body)
        }
        CdrCommand::Orders => {
            let all = client.read(ORDERS, &[])?.body;
            let items = all["items"].as_array().cloned().unwrap_or_default();
            output::list(global, &items, ORDER_COLUMNS)
        }
        CdrCommand::Fetch { export, file } => {
            let path = format!("{ORDERS}/{}", encode(&export));
            wait_for_file(&client, &path)?;
            copy(
                client.stream(&format!("{path}/file"), &[])?,
                file.as_deref(),
            )
        }
        CdrCommand::Drop { export } => {
            client.delete(&format!("{ORDERS}/{}", encode(&export)))?;
            Ok(())
        }
    }
}

/// A parameter of the query as a field of the filter.
fn as_wish((name, value): (&str, String)) -> (String, Value) {
    let value = match value.parse::<u64>() {
        Ok(number) if name.ends_with("_us") => number.into(),
        _ => value.into(),
    };
    (name.to_owned(), value)
}

/// Waits until what was ordered is written.
fn wait_for_file(client: &Client, path: &str) -> Result<(), Failure> {
    loop {
        let export = client.read(path, &[])?.body;
        match export["state"].as_str() {
            Some("waiting" | "running") => std::thread::sleep(LOOK),
            Some("failed") => {
                let why = export["why"].as_str().unwrap_or_default();
                return Err(Failure::Failed(format!("the export failed: {why}")));
            }
            _ => return Ok(()),
        }
    }
}

/// Requests that were over before they had found enough or seen everything.
#[derive(Default)]
struct Searches(u32);

impl Searches {
    /// Says now and then how far the search has come, and ends it when it takes too long.
    fn note(&mut self, page: &Value) -> ControlFlow<()> {
        let Some(until_us) = page["searched_until_us"].as_u64() else {
            return ControlFlow::Continue(());
        };
        self.0 += 1;
        let until = text(until_us);
        if self.0 == SEARCHES_MAX {
            // Of those that ended in this very microsecond, some may not have been looked at.
            let next_us = until_us.saturating_add(1);
            output::say(&format!(
                "Searched back to {until} only; --to-us {next_us} goes on from there."
            ));
            return ControlFlow::Break(());
        }
        if self.0.is_multiple_of(SEARCHES_SAID) {
            output::say(&format!("Searched back to {until}, going on."));
        }
        ControlFlow::Continue(())
    }
}

fn query(client: &Client, flags: &CdrFlags) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut query = Vec::new();
    let named = [
        ("account", &ACCOUNT, &flags.account),
        ("user", &USER, &flags.user),
        ("customer", &CUSTOMER, &flags.customer),
        ("carrier", &CARRIER, &flags.carrier),
    ];
    for (name, noun, value) in named {
        if let Some(value) = value {
            query.push((name, id_of(client, noun, value)?));
        }
    }
    let exact = [
        ("caller", &flags.caller),
        ("called", &flags.called),
        ("outcome", &flags.outcome),
    ];
    query.extend(
        exact
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?))),
    );
    let since = flags.since.map(|span_us| now_us().saturating_sub(span_us));
    query.extend(
        since
            .or(flags.from_us)
            .map(|from_us| ("from_us", from_us.to_string())),
    );
    query.extend(flags.to_us.map(|to_us| ("to_us", to_us.to_string())));
    Ok(query)
}

fn export(client: &Client, query: &[(&str, String)], file: Option<&Path>) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> = query
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    copy(client.stream("/v1/cdrs/export.csv", &query)?, file)
}

/// Writes what comes to a file, or to standard output.
fn copy(mut csv: impl io::Read, file: Option<&Path>) -> Result<(), Failure> {
    let mut target: Box<dyn Write> = match file {
        None => Box::new(io::stdout().lock()),
        Some(path) => {
            let made = File::create(path);
            Box::new(made.map_err(|e| {
                Failure::Failed(format!("{} cannot be written: {e}", path.display()))
            })?)
        }
    };
    match io::copy(&mut csv, &mut target).and_then(|_| target.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|e| Failure::Failed(format!("the export broke off: {e}"))),
    }
}

const ORDERS: &str = "/v1/cdrs/exports";
const ORDER_COLUMNS: &[Column] = &[
    ("EXPORT", "id"),
    ("ORDERED", "created_us"),
    ("BY", "by"),
    ("STATE", "state"),
    ("RECORDS", "rows"),
    ("BYTES", "bytes"),
    ("WHY", "why"),
];
/// Between two looks whether a file is there.
const LOOK: Duration = Duration::from_millis(500);
/// Each is about a fifth of a second: a minute.
const SEARCHES_MAX: u32 = 300;
/// After how many of them a person hears of it.
const SEARCHES_SAID: u32 = 15;
const COLUMNS: &[Column] = &[
    ("CALL", "call"),
    ("STARTED", "start_us"),
    ("ANSWERED", "answer_us"),
    ("ENDED", "end_us"),
    ("CALLER", "caller"),
    ("CALLED", "called"),
    ("OUTCOME", "outcome"),
    ("STATUS", "status"),
    ("ENDED BY", "ended_by"),
    ("REASON", "reason"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_goes_on_by_itself_and_not_for_ever() {
        let mut searches = Searches::default();
        let full = serde_json::json!({ "complete": true, "searched_until_us": null });
        let part = serde_json::json!({ "complete": false, "searched_until_us": 7_000_000 });
        for _ in 1..SEARCHES_MAX {
            assert!(searches.note(&full).is_continue());
            assert!(searches.note(&part).is_continue());
        }
        assert!(searches.note(&part).is_break());
    }
}
