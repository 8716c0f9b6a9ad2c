//! `tandem cdr`: records of calls that have ended.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::account::ACCOUNT;
use crate::carrier::CARRIER;
use crate::client::{Client, encode};
use crate::customer::CUSTOMER;
use crate::failure::Failure;
use crate::global::Global;
use crate::moment::{now_us, span_us};
use crate::output::{self, Column};
use crate::records::{LIST_LIMIT, id_of, pages};
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
            output::list(global, &pages(&client, "/v1/cdrs", &query, limit)?, COLUMNS)
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
    let mut csv = client.stream("/v1/cdrs/export.csv", &query)?;
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
