//! `tandem ban`: sources whose packets are dropped.

use clap::Subcommand;

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with bans.
#[derive(Subcommand, Debug)]
pub(crate) enum BanCommand {
    /// Lists them
    List,
    /// Lifts some
    Remove {
        /// The banned addresses
        #[arg(required = true)]
        addresses: Vec<String>,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: BanCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        BanCommand::List => {
            let answer = client.read("/v1/bans", &[])?.body;
            let columns = [
                ("ADDRESS", "address"),
                ("REASON", "reason"),
                ("SINCE", "since_us"),
                ("UNTIL", "until_us"),
            ];
            output::list(
                global,
                answer["items"].as_array().map_or(&[], Vec::as_slice),
                &columns,
            )
        }
        BanCommand::Remove { addresses } => {
            for address in addresses {
                client.delete(&format!("/v1/bans/{}", encode(&address)))?;
                output::say(&format!("{address} is banned no more"));
            }
            Ok(())
        }
    }
}
