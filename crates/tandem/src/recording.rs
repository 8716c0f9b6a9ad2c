//! `tandem recording`: the files of recorded calls.

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with recordings.
#[derive(Subcommand, Debug)]
pub(crate) enum RecordingCommand {
    /// Lists them, the latest first
    List,
}

/// Does it.
pub(crate) fn run(global: &Global, command: &RecordingCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        RecordingCommand::List => {
            let answer = client.read("/v1/recordings", &[])?.body;
            let columns = [
                ("FILE", "file"),
                ("SERVER", "server"),
                ("FINISHED", "finished"),
                ("MILLISECONDS", "length_ms"),
                ("BYTES", "bytes"),
                ("CHANGED", "changed_us"),
                ("LOCATION", "location"),
            ];
            let items = answer["items"].as_array();
            output::list(global, items.map_or(&[], Vec::as_slice), &columns)
        }
    }
}
