//! `tandem media-server`: where RTP is relayed, and how each server is.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::{self, Fields, LIST_LIMIT, Noun, RecordCommand};

/// What can be done with media servers.
#[derive(Subcommand, Debug)]
pub(crate) enum MediaServerCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<MediaServerFields>>),
    /// Shows how every media server is
    Health,
    /// Lets one take no new calls; those it has go on
    Drain {
        /// Its name or identifier
        media_server: String,
    },
    /// Lets a drained one take calls again
    Resume {
        /// Its name or identifier
        media_server: String,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: MediaServerCommand) -> Result<(), Failure> {
    match command {
        MediaServerCommand::Record(command) => records::run(global, *command),
        MediaServerCommand::Health => {
            let client = Client::of(global)?;
            let items = records::pages(&client, "/v1/media-server-health", &[], LIST_LIMIT)?;
            let columns = [
                ("ID", "media_server"),
                ("NAME", "name"),
                ("ZONE", "zone"),
                ("STATE", "state"),
                ("RTT", "rtt_us"),
                ("SESSIONS", "sessions"),
                ("OF ALL", "sessions_total"),
                ("LOAD %", "load_percent"),
                ("LAST FAILURE", "last_failure"),
            ];
            output::list(global, &items, &columns)
        }
        MediaServerCommand::Drain { media_server } => {
            change(global, &media_server, &json!({ "draining": true }))
        }
        MediaServerCommand::Resume { media_server } => {
            change(global, &media_server, &json!({ "draining": false }))
        }
    }
}

fn change(global: &Global, media_server: &str, patch: &Value) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let id = records::id_of(&client, &MEDIA_SERVER, media_server)?;
    let path = format!("/v1/{}/{id}", MEDIA_SERVER.plural);
    let etag = client.read(&path, &[])?.etag;
    output::object(global, &client.change(&path, etag.as_deref(), patch)?.body)
}

/// Fields of a media server.
#[derive(Args, Serialize, Debug)]
pub(crate) struct MediaServerFields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Where it is controlled: udp:host:port
    #[arg(long, value_name = "udp:HOST:PORT")]
    control: Option<String>,
    /// Another name or address it is known by; may be given several times
    #[arg(long = "alias")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    /// The media zone it stands in
    #[arg(long)]
    zone: Option<String>,
    /// Share of the sessions among equals
    #[arg(long)]
    weight: Option<u16>,
    /// Whether it is used
    #[arg(long)]
    enabled: Option<bool>,
    /// Whether it takes no new calls
    #[arg(long)]
    draining: Option<bool>,
    /// The address that peers send media to, if not the one it says itself
    #[arg(long)]
    public_address: Option<String>,
}

impl Fields for MediaServerFields {
    const NOUN: &'static Noun = &MEDIA_SERVER;
}

/// Media servers.
pub(crate) static MEDIA_SERVER: Noun = Noun {
    singular: "media server",
    plural: "media-servers",
    prefix: "ms_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("CONTROL", "control"),
        ("ALIASES", "aliases"),
        ("ZONE", "zone"),
        ("WEIGHT", "weight"),
        ("ENABLED", "enabled"),
        ("DRAINING", "draining"),
    ],
    references: &[],
    owner: None,
};
