//! `tandem event`: what happens, as it happens.

use std::io::{BufRead, BufReader};

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with events.
#[derive(Subcommand, Debug)]
pub(crate) enum EventCommand {
    /// Prints events as they happen, one line of JSON each, until it is stopped
    Follow {
        /// Only these topics, separated by commas: calls, registrations, users, ...
        #[arg(long)]
        topics: Option<String>,
    },
}

/// Does it.
pub(crate) fn run(
    global: &Global,
    EventCommand::Follow { topics }: EventCommand,
) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> = topics
        .iter()
        .map(|topics| ("topics", topics.as_str()))
        .collect();
    let stream = Client::of(global)?.stream("/v1/events", &query)?;
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(|e| Failure::Unreachable(format!("the stream broke off: {e}")))?;
        if let Some(data) = line.strip_prefix("data:") {
            output::print(&format!("{}\n", data.trim_start()))?;
        }
    }
    Err(Failure::Unreachable("the platform ended the stream".into()))
}
