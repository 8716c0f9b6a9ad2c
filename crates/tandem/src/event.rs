//! `tandem event`: what happens, as it happens.

use std::io::{BufRead, BufReader};

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::{self, Column};
use crate::records::id_of;
use crate::server::SERVER;

/// What can be done with events.
#[derive(Subcommand, Debug)]
pub(crate) enum EventCommand {
    /// Prints events as they happen, one line of JSON each, until it is stopped
    Follow {
        /// Only these topics, separated by commas: calls, registrations, users, ...
        #[arg(long)]
        topics: Option<String>,
    },
    /// Lists what has happened last: it is remembered while somebody watches, and two minutes longer
    Recent {
        /// Only these topics, separated by commas
        #[arg(long)]
        topics: Option<String>,
        /// Only at this server
        #[arg(long)]
        server: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = RECENT)]
        limit: usize,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: EventCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        EventCommand::Follow { topics } => follow(&client, topics.as_deref()),
        EventCommand::Recent {
            topics,
            server,
            limit,
        } => {
            let server = server.map(|text| id_of(&client, &SERVER, &text));
            let (server, limit) = (server.transpose()?, limit.to_string());
            let given = [
                ("topics", topics.as_deref()),
                ("server", server.as_deref()),
                ("limit", Some(&*limit)),
            ];
            let given = given.into_iter().filter_map(|(name, v)| Some((name, v?)));
            let query: Vec<(&str, &str)> = given.collect();
            let page = client.read("/v1/events/recent", &query)?.body;
            let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
            output::list(global, items, COLUMNS)
        }
    }
}

fn follow(client: &Client, topics: Option<&str>) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> = topics.iter().map(|topics| ("topics", *topics)).collect();
    let stream = client.stream("/v1/events", &query)?;
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(|e| Failure::Unreachable(format!("the stream broke off: {e}")))?;
        if let Some(data) = line.strip_prefix("data:") {
            output::print(&format!("{}\n", data.trim_start()))?;
        }
    }
    Err(Failure::Unreachable("the platform ended the stream".into()))
}

const COLUMNS: &[Column] = &[
    ("AT", "at_us"),
    ("SERVER", "server_name"),
    ("EVENT", "name"),
    ("ABOUT", "data"),
];
/// Events listed if nothing else is wanted.
const RECENT: usize = 50;
