//! `tandem cluster`: servers that belong together, and what they carry.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::flags::LimitFlags;
use crate::global::Global;
use crate::output::{self, Column};
use crate::records::{self, Fields, Noun, RecordCommand};

/// What can be done with clusters.
#[derive(Subcommand, Debug)]
pub(crate) enum ClusterCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<ClusterFields>>),
    /// Shows what the servers of each carry, and what remains when one dies
    Health,
    /// Shows the servers of one, and what each may use of its limits
    Members {
        /// Its name or identifier
        cluster: String,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: ClusterCommand) -> Result<(), Failure> {
    match command {
        ClusterCommand::Record(command) => records::run(global, *command),
        ClusterCommand::Health => output::list(global, &health(&Client::of(global)?)?, &CAPACITY),
        ClusterCommand::Members { cluster } => {
            let client = Client::of(global)?;
            let id = records::id_of(&client, &CLUSTER, &cluster)?;
            let all = health(&client)?;
            let one = all.iter().find(|one| one["cluster"] == *id);
            let members = one.and_then(|one| one["capacity"]["members"].as_array());
            let members = members.map_or(&[][..], Vec::as_slice);
            output::list(global, members, &MEMBERS)
        }
    }
}

fn health(client: &Client) -> Result<Vec<Value>, Failure> {
    let answer = client.read("/v1/cluster-health", &[])?.body;
    Ok(answer["items"].as_array().cloned().unwrap_or_default())
}

/// Fields of a cluster.
#[derive(Args, Serialize, Debug)]
pub(crate) struct ClusterFields {
    /// What people call it; servers that name it follow
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Fields for ClusterFields {
    const NOUN: &'static Noun = &CLUSTER;
}

/// Clusters.
pub(crate) static CLUSTER: Noun = Noun {
    singular: "cluster",
    plural: "clusters",
    prefix: "clu_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("CPS", "limits.cps"),
        ("CHANNELS", "limits.channels"),
    ],
    references: &[],
    owner: None,
};

/// What servers together carry.
pub(crate) const CAPACITY: [Column; 10] = [
    ("NAME", "name"),
    ("STANDING", "capacity.standing"),
    ("TAKING CALLS", "capacity.taking"),
    ("CHANNELS", "capacity.channels"),
    ("OF", "capacity.channels_allowed"),
    ("CPS", "capacity.cps"),
    ("OF", "capacity.cps_allowed"),
    ("USED %", "capacity.used_percent"),
    ("AFTER A LOSS %", "capacity.used_after_loss_percent"),
    ("CAUSE", "capacity.cause"),
];
const MEMBERS: [Column; 8] = [
    ("NAME", "name"),
    ("STATE", "state"),
    ("CHANNELS", "channels"),
    ("OF", "channels_allowed"),
    ("SHARE", "channels_share"),
    ("CPS", "cps"),
    ("OF", "cps_allowed"),
    ("SHARE", "cps_share"),
];
