//! `tandem account`: tenants.

use clap::Args;
use serde::Serialize;

use crate::flags::LimitFlags;
use crate::records::{Fields, Noun};

/// Fields of an account.
#[derive(Args, Serialize, Debug)]
pub(crate) struct AccountFields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Whether its calls and registrations are accepted
    #[arg(long)]
    enabled: Option<bool>,
    /// A WAV file on the server that who is put on hold hears
    #[arg(long, value_name = "PATH")]
    music_on_hold: Option<String>,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Fields for AccountFields {
    const NOUN: &'static Noun = &ACCOUNT;
}

/// Accounts.
pub(crate) static ACCOUNT: Noun = Noun {
    singular: "account",
    plural: "accounts",
    prefix: "acc_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("ENABLED", "enabled"),
        ("CPS", "limits.cps"),
        ("CHANNELS", "limits.channels"),
    ],
    references: &[],
    owner: None,
};
