//! Flags of every command.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// How results are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table, global = true, help_heading = "Global")]
    pub(crate) output: Format,

    /// The API's address; by default what the data directory says
    #[arg(
        long,
        env = "TANDEM_ADDR",
        value_name = "URL",
        global = true,
        help_heading = "Global"
    )]
    pub(crate) addr: Option<String>,

    /// The API token; by default what the data directory says
    #[arg(
        long,
        env = "TANDEM_TOKEN",
        hide_env_values = true,
        global = true,
        help_heading = "Global"
    )]
    pub(crate) token: Option<String>,

    /// The authority of the API's certificate, in PEM; by default those of this machine
    #[arg(
        long,
        env = "TANDEM_CA",
        value_name = "FILE",
        global = true,
        help_heading = "Global"
    )]
    pub(crate) ca: Option<PathBuf>,

    /// The data directory of a platform on this machine
    #[arg(
        long,
        env = "TANDEM_DATA",
        value_name = "DIR",
        default_value = "./data",
        global = true,
        help_heading = "Global"
    )]
    pub(crate) data: PathBuf,

    /// A draft, by name or identifier: records are shown as they would be with it, and changes of them
    /// are added to it
    #[arg(
        long,
        env = "TANDEM_DRAFT",
        value_name = "DRAFT",
        global = true,
        help_heading = "Global"
    )]
    pub(crate) draft: Option<String>,

    /// Answers every question with yes
    #[arg(short, long, global = true, help_heading = "Global")]
    pub(crate) yes: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs: all fields.
    Json,
    /// For people and programs: all fields.
    Yaml,
}
