//! `tandem limit`: what the limits allow and what of it is in use.

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with limits.
#[derive(Subcommand, Debug)]
pub(crate) enum LimitCommand {
    /// Lists every entity that has any, with its use
    List,
}

/// Does it.
pub(crate) fn run(global: &Global, LimitCommand::List: LimitCommand) -> Result<(), Failure> {
    let answer = Client::of(global)?.read("/v1/limits", &[])?.body;
    let columns = [
        ("KIND", "kind"),
        ("NAME", "name"),
        ("CPS", "cps"),
        ("OF", "cps_limit"),
        ("SHARE", "cps_share"),
        ("CHANNELS", "channels"),
        ("OF", "channels_limit"),
        ("SHARE", "channels_share"),
        ("ID", "id"),
    ];
    output::list(
        global,
        answer["items"].as_array().map_or(&[], Vec::as_slice),
        &columns,
    )
}
