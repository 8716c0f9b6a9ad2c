//! `tandem duty`: which of several controls does what only one of them does.

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be asked about it.
#[derive(Subcommand, Debug)]
pub(crate) enum DutyCommand {
    /// Lists the duties and the server whose control does each
    List,
}

/// Does it.
pub(crate) fn run(global: &Global, DutyCommand::List: DutyCommand) -> Result<(), Failure> {
    let answer = Client::of(global)?.read("/v1/duties", &[])?.body;
    let columns = [
        ("DUTY", "duty"),
        ("SERVER", "name"),
        ("HERE", "here"),
        ("WHAT", "text"),
    ];
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    output::list(global, items, &columns)
}
