//! `tandem call`: calls in progress.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::account::ACCOUNT;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::output::{self, Column};
use crate::records::{LIST_LIMIT, id_of, pages_with};
use crate::server::SERVER;
use crate::trace::{Drawing, draw};
use crate::unheard::Unheard;

/// What can be done with calls.
#[derive(Subcommand, Debug)]
pub(crate) enum CallCommand {
    /// Lists calls in progress
    List(CallFlags),
    /// Shows one with its legs and the routing decision
    Show {
        /// The call's identifier
        call: String,
    },
    /// Draws the messages of its legs on one axis of time, in progress or ended
    Trace {
        /// The call's identifier
        call: String,
        #[command(flatten)]
        drawing: Drawing,
    },
    /// Ends calls on both sides
    Hangup {
        /// Their identifiers
        #[arg(required_unless_present = "all")]
        calls: Vec<String>,
        /// Ends every call in progress, at all servers
        #[arg(long, conflicts_with = "calls")]
        all: bool,
        /// With --all: only those of this server
        #[arg(long, requires = "all")]
        server: Option<String>,
    },
}

/// Which calls.
#[derive(Args, Debug)]
pub(crate) struct CallFlags {
    /// Calls of this account
    #[arg(long)]
    account: Option<String>,
    /// Calls in this state
    #[arg(long, value_parser = ["trying", "ringing", "answered", "ending"])]
    state: Option<String>,
    /// Calls whose caller is exactly this
    #[arg(long)]
    caller: Option<String>,
    /// Calls whose called party is exactly this
    #[arg(long)]
    called: Option<String>,
    /// Calls of this server
    #[arg(long)]
    server: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = LIST_LIMIT)]
    limit: usize,
}

/// Does it.
pub(crate) fn run(global: &Global, command: CallCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        CallCommand::List(flags) => list(global, &client, &flags),
        CallCommand::Show { call } => {
            let path = format!("/v1/calls/{}", encode(&call));
            output::object(global, &client.read(&path, &[])?.body)
        }
        CallCommand::Trace { call, drawing } => {
            let path = format!("/v1/calls/{}/ladder", encode(&call));
            draw(global, &client.read(&path, &[])?.body, drawing)
        }
        CallCommand::Hangup { calls, all, server } => {
            let calls = if all {
                every(&client, server.as_deref())?
            } else {
                calls
            };
            if all || calls.len() > 1 {
                output::confirm(global, &format!("End {} calls?", calls.len()))?;
            }
            for call in calls {
                client.delete(&format!("/v1/calls/{}", encode(&call)))?;
                output::say(&format!("call {call} ends"));
            }
            Ok(())
        }
    }
}

fn list(global: &Global, client: &Client, flags: &CallFlags) -> Result<(), Failure> {
    let account = flags
        .account
        .as_ref()
        .map(|a| id_of(client, &ACCOUNT, a))
        .transpose()?;
    let server = server_id(client, flags.server.as_deref())?;
    let given = [
        ("account", &account),
        ("server", &server),
        ("state", &flags.state),
        ("caller", &flags.caller),
        ("called", &flags.called),
    ];
    let query: Vec<(&str, &str)> = given
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
        .collect();
    output::list(global, &heard(client, &query, flags.limit)?, COLUMNS)
}

fn server_id(client: &Client, server: Option<&str>) -> Result<Option<String>, Failure> {
    server.map(|text| id_of(client, &SERVER, text)).transpose()
}

/// The calls of the servers that answer; of the others it is said that they do not.
fn heard(client: &Client, query: &[(&str, &str)], limit: usize) -> Result<Vec<Value>, Failure> {
    let mut unheard = Unheard::of("calls");
    pages_with(client, "/v1/calls", query, limit, |page| {
        unheard.say(page);
        ControlFlow::Continue(())
    })
}

fn every(client: &Client, server: Option<&str>) -> Result<Vec<String>, Failure> {
    let server = server_id(client, server)?;
    let query: Vec<(&str, &str)> = server.iter().map(|id| ("server", &**id)).collect();
    let calls = heard(client, &query, usize::MAX)?;
    Ok(calls
        .iter()
        .filter_map(|call| call["id"].as_str().map(str::to_owned))
        .collect::<Vec<_>>())
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("SERVER", "server_name"),
    ("STATE", "state"),
    ("CALLER", "caller"),
    ("CALLED", "called"),
    ("STARTED", "start_us"),
    ("ANSWERED", "answer_us"),
    ("FROM", "legs.0.remote"),
    ("TO", "legs.1.remote"),
];
