//! `tandem array`: how registrations are shared with servers outside a cluster.

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output;

/// What can be asked about an array.
#[derive(Subcommand, Debug)]
pub(crate) enum ArrayCommand {
    /// Shows the other servers, how they are heard and told, and what that costs
    Show,
}

/// Does it.
pub(crate) fn run(global: &Global, ArrayCommand::Show: ArrayCommand) -> Result<(), Failure> {
    let answer = Client::of(global)?.read("/v1/array", &[])?.body;
    let is_table = matches!(global.output, Format::Table);
    if !is_table {
        return output::object(global, &answer);
    }
    if answer["sharing"] != true {
        return output::print(
            "Registrations are not shared: tandem up --array-port switches it on.\n",
        );
    }
    let columns = [
        ("SERVER", "id"),
        ("ADDRESS", "address"),
        ("HEARD", "heard"),
        ("TOLD", "told"),
        ("LAG (US)", "lag_us"),
        ("BEHIND", "behind"),
        ("RECEIVED", "received.bytes"),
        ("SENT", "sent.bytes"),
        ("ERROR", "error"),
    ];
    let peers = answer["peers"].as_array().map_or(&[][..], Vec::as_slice);
    output::list(global, peers, &columns)
}
