//! `tandem carrier`: whom we send calls to.

use clap::Args;
use serde::Serialize;

use crate::account::ACCOUNT;
use crate::flags::{LimitFlags, RewriteFlags};
use crate::records::{Fields, Noun};

/// Fields of a carrier.
#[derive(Args, Serialize, Debug)]
pub(crate) struct CarrierFields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// The account it serves; all, if left out
    #[arg(long)]
    account: Option<String>,
    /// How media travels
    #[arg(long, value_parser = ["relay", "bypass", ""])]
    media: Option<String>,
    /// The media zone near it
    #[arg(long)]
    media_zone: Option<String>,
    /// Whether it is used
    #[arg(long)]
    enabled: Option<bool>,
    /// Whether its calls are recorded
    #[arg(long)]
    record: Option<bool>,
    /// In what form it gives and takes keys
    #[arg(long, value_parser = ["rfc4733", "info", "inband"])]
    dtmf: Option<String>,
    #[command(flatten)]
    rewrite: RewriteFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Fields for CarrierFields {
    const NOUN: &'static Noun = &CARRIER;
}

/// Carriers.
pub(crate) static CARRIER: Noun = Noun {
    singular: "carrier",
    plural: "carriers",
    prefix: "car_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("ACCOUNT", "account"),
        ("ENABLED", "enabled"),
        ("CPS", "limits.cps"),
        ("CHANNELS", "limits.channels"),
    ],
    references: &[("account", &ACCOUNT)],
    owner: None,
};
