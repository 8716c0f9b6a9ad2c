//! `tandem recording`: the files of recorded calls.

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::{LIST_LIMIT, pages};

/// What can be done with recordings.
#[derive(Subcommand, Debug)]
pub(crate) enum RecordingCommand {
    /// Lists them, the latest first
    List {
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: &RecordingCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        RecordingCommand::List { limit } => {
            let items = pages(&client, "/v1/recordings", &[], *limit)?;
            let columns = [
                ("FILE", "file"),
                ("SERVER", "server"),
                ("NODE", "node"),
                ("FINISHED", "finished"),
                ("MILLISECONDS", "length_ms"),
                ("BYTES", "bytes"),
                ("CHANGED", "changed_us"),
                ("LOCATION", "location"),
            ];
            output::list(global, &items, &columns)
        }
    }
}
