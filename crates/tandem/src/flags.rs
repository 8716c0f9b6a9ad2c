//! Flags that several kinds of records have.

use clap::Args;
use serde::Serialize;

/// Limits of an entity.
#[derive(Args, Serialize, Debug, Default)]
pub(crate) struct LimitFlags {
    /// New calls per second it may make
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cps: Option<u32>,
    /// Calls it may have in progress
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u32>,
}

/// Rewriting of the called number.
#[derive(Args, Serialize, Debug, Default)]
pub(crate) struct RewriteFlags {
    /// How many leading digits of the called number are taken off
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    strip_digits: Option<u8>,
    /// What is put before the rest of it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    prepend: Option<String>,
}
