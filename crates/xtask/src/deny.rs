//! The licences and origins of what we build on, by cargo-deny.

use std::path::Path;

use anyhow::Result;

use crate::process::{cargo, has_subcommand};

/// Checks `deny.toml`. Advisories are left out: their database has to be fetched, and this
/// gate must give the same answer without a network.
pub(crate) fn run(root: &Path) -> Result<()> {
    if !has_subcommand(root, "deny") {
        cargo(
            root,
            &["install", CARGO_DENY, "--locked", "--debug", "--quiet"],
        )?;
    }
    cargo(
        root,
        &[
            "deny",
            "--log-level",
            "error",
            "check",
            "bans",
            "licenses",
            "sources",
        ],
    )
}

/// With its version, so that the gate is the same everywhere. It is built without optimisation:
/// it reads a few files, once.
const CARGO_DENY: &str = "cargo-deny@0.20.2";
