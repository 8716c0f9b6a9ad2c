//! `tandem call`: calls in progress.

use clap::{Args, Subcommand};

use crate::account::ACCOUNT;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::output::{self, Column};
use crate::records::{LIST_LIMIT, id_of, pages};
use crate::trace::{Drawing, draw};

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
        /// Ends every call in progress
        #[arg(long, conflicts_with = "calls")]
        all: bool,
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
        CallCommand::Hangup { calls, all } => {
            let calls = if all { every(&client)? } else { calls };
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
    let given = [
        ("account", &account),
        ("state", &flags.state),
        ("caller", &flags.caller),
        ("called", &flags.called),
    ];
    let query: Vec<(&str, &str)> = given
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
        .collect();
    output::list(
        global,
        &pages(client, "/v1/calls", &query, flags.limit)?,
        COLUMNS,
    )
}

fn every(client: &Client) -> Result<Vec<String>, Failure> {
    let calls = pages(client, "/v1/calls", &[], usize::MAX)?;
    Ok(calls
        .iter()
        .filter_map(|call| call["id"].as_str().map(str::to_owned))
        .collect::<Vec<_>>())
}

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("CALLER", "caller"),
    ("CALLED", "called"),
    ("STARTED", "start_us"),
    ("ANSWERED", "answer_us"),
    ("FROM", "legs.0.remote"),
    ("TO", "legs.1.remote"),
];
