//! `tandem user`: who registers devices and is called by name.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::account::ACCOUNT;
use crate::failure::Failure;
use crate::flags::LimitFlags;
use crate::global::Global;
use crate::records::{self, Fields, Noun, RecordCommand};
use crate::user_import::{self, ImportFlags};

/// What can be done with users.
#[derive(Subcommand, Debug)]
pub(crate) enum UserCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<UserFields>>),
    /// Makes many from a CSV file: all of them, or none if one is bad
    Import(ImportFlags),
}

/// Does it.
pub(crate) fn run(global: &Global, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Record(command) => records::run(global, *command),
        UserCommand::Import(flags) => user_import::run(global, &flags),
    }
}

/// Fields of a user.
#[derive(Args, Serialize, Debug)]
pub(crate) struct UserFields {
    /// The user part of its address of record; a new password is needed to change it
    #[arg(long)]
    name: Option<String>,
    /// The account it belongs to; the only one there is, if left out
    #[arg(long)]
    account: Option<String>,
    /// Its password; one is made and shown if a new user gets none
    #[arg(long)]
    password: Option<String>,
    /// What callees see
    #[arg(long)]
    display_name: Option<String>,
    /// The number shown to carriers and customers on its calls
    #[arg(long)]
    caller_number: Option<String>,
    /// Whether it may register and call
    #[arg(long)]
    enabled: Option<bool>,
    /// How many contacts it may register at once; 0 for the platform's default
    #[arg(long)]
    contacts_max: Option<u16>,
    /// How its contacts ring
    #[arg(long, value_parser = ["parallel", "sequential"])]
    forking: Option<String>,
    /// How long they ring; 0 for the platform's default
    #[arg(long, value_name = "SECONDS")]
    ring_timeout_s: Option<u16>,
    /// Whether its calls are recorded
    #[arg(long)]
    record: Option<bool>,
    /// In what form its phones give and take keys
    #[arg(long, value_parser = ["rfc4733", "info", "inband"])]
    dtmf: Option<String>,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Fields for UserFields {
    const NOUN: &'static Noun = &USER;
}

/// Users.
pub(crate) static USER: Noun = Noun {
    singular: "user",
    plural: "users",
    prefix: "usr_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("DISPLAY NAME", "display_name"),
        ("CALLER NUMBER", "caller_number"),
        ("ENABLED", "enabled"),
    ],
    references: &[("account", &ACCOUNT)],
    owner: Some(("account", &ACCOUNT)),
};
