//! `tandem audit`: who changed what.

use clap::Subcommand;
use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::{LIST_LIMIT, pages};

/// What can be done with the audit log.
#[derive(Clone, Copy, Subcommand, Debug)]
pub(crate) enum AuditCommand {
    /// Lists changes of records, the latest first
    List {
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
    /// Takes back a change, if it is the last one of its record
    Revert {
        /// Its revision, as the list has it
        revision: u64,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: AuditCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        AuditCommand::List { limit } => {
            let items = pages(&client, "/v1/audit", &[], limit)?;
            let columns = [
                ("REVISION", "revision"),
                ("AT", "at_us"),
                ("KIND", "kind"),
                ("RECORD", "record"),
                ("ACTOR", "actor"),
            ];
            output::list(global, &items, &columns)
        }
        AuditCommand::Revert { revision } => {
            output::confirm(global, &format!("Take back change {revision}?"))?;
            client.create(&format!("/v1/audit/{revision}/revert"), &Value::Null)?;
            output::say(&format!("change {revision} is taken back"));
            Ok(())
        }
    }
}
