//! `tandem audit`: who changed what.

use clap::Subcommand;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::{LIST_LIMIT, pages};

/// What can be done with the audit log.
#[derive(Subcommand, Debug)]
pub(crate) enum AuditCommand {
    /// Lists changes of records, the latest first
    List {
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
}

/// Does it.
pub(crate) fn run(
    global: &Global,
    AuditCommand::List { limit }: AuditCommand,
) -> Result<(), Failure> {
    let items = pages(&Client::of(global)?, "/v1/audit", &[], limit)?;
    let columns = [
        ("REVISION", "revision"),
        ("AT", "at_us"),
        ("KIND", "kind"),
        ("RECORD", "record"),
        ("ACTOR", "actor"),
    ];
    output::list(global, &items, &columns)
}
