//! `tandem zone`: regions in which servers stand, and what those carry.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::Client;
use crate::cluster::CAPACITY;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::{self, Column};
use crate::records::{self, Fields, Noun, RecordCommand};

/// What can be done with zones.
#[derive(Subcommand, Debug)]
pub(crate) enum ZoneCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<ZoneFields>>),
    /// Shows what the servers of each carry, and what remains when one dies
    Health,
    /// Shows how far zones are from each other, as their servers measure it
    Latency,
}

/// Does it.
pub(crate) fn run(global: &Global, command: ZoneCommand) -> Result<(), Failure> {
    match command {
        ZoneCommand::Record(command) => records::run(global, *command),
        ZoneCommand::Health => {
            let answer = Client::of(global)?.read("/v1/zone-health", &[])?.body;
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            output::list(global, &items, &CAPACITY)
        }
        ZoneCommand::Latency => {
            let answer = Client::of(global)?.read("/v1/zones/latency", &[])?.body;
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            output::list(global, &items, &LATENCY)
        }
    }
}

/// Fields of a zone.
#[derive(Args, Serialize, Debug)]
pub(crate) struct ZoneFields {
    /// What people call it; servers, media servers and routes that name it follow
    #[arg(long)]
    name: Option<String>,
    /// Degrees north of the equator; south is negative
    #[arg(long, allow_negative_numbers = true)]
    latitude: Option<f64>,
    /// Degrees east of Greenwich; west is negative
    #[arg(long, allow_negative_numbers = true)]
    longitude: Option<f64>,
}

impl Fields for ZoneFields {
    const NOUN: &'static Noun = &ZONE;
}

/// Zones.
pub(crate) static ZONE: Noun = Noun {
    singular: "zone",
    plural: "zones",
    prefix: "zone_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("LATITUDE", "latitude"),
        ("LONGITUDE", "longitude"),
    ],
    references: &[],
    owner: None,
};

const LATENCY: [Column; 12] = [
    ("FROM", "from"),
    ("TO", "to"),
    ("SIP", "sip.median_us"),
    ("WORST", "sip.worst_us"),
    ("STATE", "sip.state"),
    ("AGE S", "sip.age_s"),
    ("CAUSE", "sip.cause"),
    ("ICMP", "icmp.median_us"),
    ("WORST", "icmp.worst_us"),
    ("STATE", "icmp.state"),
    ("AGE S", "icmp.age_s"),
    ("CAUSE", "icmp.cause"),
];
