//! `tandem session`: browsers that are signed in.

use clap::Subcommand;

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with sessions.
#[derive(Subcommand, Debug)]
pub(crate) enum SessionCommand {
    /// Lists them
    List,
    /// Ends some: who has them is signed out
    End {
        /// Their identifiers
        #[arg(required = true)]
        sessions: Vec<String>,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: SessionCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        SessionCommand::List => {
            let answer = client.read("/v1/sessions", &[])?.body;
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            let columns = [
                ("ID", "id"),
                ("NAME", "name"),
                ("BEGUN", "begun_us"),
                ("ENDS", "ends_us"),
                ("FROM", "source"),
                ("BROWSER", "agent"),
            ];
            output::list(global, &items, &columns)
        }
        SessionCommand::End { sessions } => {
            for id in sessions {
                client.delete(&format!("/v1/sessions/{}", encode(&id)))?;
                output::say(&format!("session {id} has ended"));
            }
            Ok(())
        }
    }
}
