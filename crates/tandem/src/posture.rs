//! `tandem posture`: the single points of failure of a deployment.

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output;

/// What can be asked about it.
#[derive(Subcommand, Debug)]
pub(crate) enum PostureCommand {
    /// Shows which parts have no second, what is lost while one is away, and what gives it a second
    Show,
}

/// Does it.
pub(crate) fn run(global: &Global, PostureCommand::Show: PostureCommand) -> Result<(), Failure> {
    let answer = Client::of(global)?.read("/v1/posture", &[])?.body;
    if !matches!(global.output, Format::Table) {
        return output::object(global, &answer);
    }
    let columns = [
        ("PART", "part"),
        ("NAME", "name"),
        ("STANDING", "standing"),
        ("FOUND", "found"),
        ("LOST", "lost"),
        ("REMEDY", "remedy"),
    ];
    let parts = answer["parts"].as_array().map_or(&[][..], Vec::as_slice);
    output::list(global, parts, &columns)
}
