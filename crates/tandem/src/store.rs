//! `tandem store`: where records and CDRs are kept.

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;

use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output;

/// What can be done with the store of a platform that is stopped.
#[derive(Subcommand, Debug)]
pub(crate) enum StoreCommand {
    /// Moves records and CDRs of a stopped platform from its data directory to PostgreSQL; may be
    /// repeated if it was cut off
    Migrate {
        /// The database, such as postgres://user:password@host/database
        #[arg(
            long = "to",
            value_name = "URL",
            env = "TANDEM_STORE",
            hide_env_values = true
        )]
        to: String,
    },
}

/// Does it.
pub(crate) fn run(
    global: &Global,
    StoreCommand::Migrate { to }: StoreCommand,
) -> Result<(), Failure> {
    let told = |cdrs| {
        if cdrs % PROGRESS_CDRS == 0 {
            let _ = writeln!(std::io::stderr(), "{cdrs} CDRs");
        }
    };
    let moved = node::migrate_store(&global.data, &to, &mut { told })
        .map_err(|error| Failure::Failed(format!("{error:#}")))?;
    if global.output != Format::Table {
        let counts = json!({
            "records": moved.records, "tokens": moved.tokens,
            "audit": moved.audit, "cdrs": moved.cdrs,
        });
        return output::list(global, &[counts], &[]);
    }
    output::print(&format!(
        "Moved, and counted in the database: records {}, tokens {}, audit entries {}, CDRs {}.\n\
         Start the platform with --store (or TANDEM_STORE) from now on.\n",
        moved.records, moved.tokens, moved.audit, moved.cdrs
    ))
}

/// Between two words of progress.
const PROGRESS_CDRS: u64 = 50_000;
