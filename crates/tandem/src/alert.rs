//! `tandem alert`: what went wrong, and who was told.

use clap::Subcommand;
use serde_json::json;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::{LIST_LIMIT, pages};

/// What can be done with alerts.
#[derive(Subcommand, Debug)]
pub(crate) enum AlertCommand {
    /// Lists incidents, the latest first
    List {
        /// Only those that are not over, or only those that are
        #[arg(long, value_parser = ["open", "over"])]
        state: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
    /// Sends a mail and a webhook that say that nothing is wrong
    Test,
}

/// Does it.
pub(crate) fn run(global: &Global, command: &AlertCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        AlertCommand::List { state, limit } => {
            let query: Vec<_> = state
                .iter()
                .map(|state| ("state", state.as_str()))
                .collect();
            let items = pages(&client, "/v1/alerts", &query, *limit)?;
            let columns = [
                ("ID", "id"),
                ("RULE", "rule"),
                ("SUBJECT", "subject"),
                ("BEGAN", "begun_us"),
                ("ENDED", "ended_us"),
                ("WHAT", "text"),
            ];
            output::list(global, &items, &columns)
        }
        AlertCommand::Test => {
            let told = client.create("/v1/alerts/test", &json!({}))?.body;
            let ways = told.as_array().cloned().unwrap_or_default();
            if ways.is_empty() {
                output::say("Neither alerts.email.server nor alerts.webhook is set.");
            }
            output::list(global, &ways, &[("WAY", "way"), ("ERROR", "error")])
        }
    }
}
