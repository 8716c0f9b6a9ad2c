//! `tandem trace`: SIP messages that are kept.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;
use trace::Ladder;

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::ladder::{Detail, lines};
use crate::moment::{now_us, span_us};
use crate::output;
use crate::records::{LIST_LIMIT, id_of, pages_with};
use crate::server::SERVER;
use crate::unheard::Unheard;

/// What can be done with traces.
#[derive(Subcommand, Debug)]
pub(crate) enum TraceCommand {
    /// Lists messages, the latest first
    List {
        #[command(flatten)]
        flags: TraceFlags,
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
    /// Prints one message
    Show {
        /// Its identifier
        message: String,
    },
    /// Draws the messages with a Call-ID, and those of the call that it belongs to
    Ladder {
        /// The Call-ID
        sip_call_id: String,
        #[command(flatten)]
        drawing: Drawing,
    },
    /// Writes messages to a file: a capture if it is called .pcap, else text
    Export {
        #[command(flatten)]
        flags: TraceFlags,
        /// The file
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Says what is kept, and what was lost
    Status,
}

/// How a ladder is drawn.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Drawing {
    /// Shows what differs between the descriptions of the legs
    #[arg(long)]
    sdp: bool,
}

/// Which messages.
#[derive(Args, Debug)]
pub(crate) struct TraceFlags {
    /// Of all legs of this call
    #[arg(long)]
    call: Option<String>,
    /// With this Call-ID
    #[arg(long)]
    sip_call_id: Option<String>,
    /// With this user or number in From, To or the request's URI
    #[arg(long)]
    party: Option<String>,
    /// From or to this address
    #[arg(long)]
    address: Option<String>,
    /// Of this kind
    #[arg(long, value_parser = ["calls", "registrations", "options", "others"])]
    kind: Option<String>,
    /// With the other legs of the calls that a Call-ID belongs to; of a call they are there anyway
    #[arg(long, requires = "sip_call_id")]
    legs: bool,
    /// Kept by this server
    #[arg(long)]
    server: Option<String>,
    /// Seen within this time before now, as 90s, 15m, 24h or 7d
    #[arg(long, value_parser = span_us)]
    since: Option<u64>,
}

impl TraceFlags {
    fn query(&self, client: &Client) -> Result<Vec<(&'static str, String)>, Failure> {
        let server = self.server.as_deref();
        let server = server.map(|text| id_of(client, &SERVER, text));
        let from_us = self.since.map(|us| now_us().saturating_sub(us).to_string());
        let given = [
            ("call", self.call.clone()),
            ("sip_call_id", self.sip_call_id.clone()),
            ("party", self.party.clone()),
            ("address", self.address.clone()),
            ("kind", self.kind.clone()),
            ("legs", self.legs.then(|| "all".to_owned())),
            ("server", server.transpose()?),
            ("from_us", from_us),
        ];
        let given = given.into_iter();
        Ok(given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect())
    }
}

/// Does it.
pub(crate) fn run(global: &Global, command: &TraceCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        TraceCommand::List { flags, limit } => {
            let query = flags.query(&client)?;
            let query: Vec<_> = query
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let mut unheard = Unheard::of("messages");
            let items = pages_with(&client, "/v1/traces", &query, *limit, |page| {
                unheard.say(page);
                ControlFlow::Continue(())
            })?;
            output::list(global, &items, COLUMNS)
        }
        TraceCommand::Show { message } => {
            let path = format!("/v1/traces/{}", encode(message));
            let message = client.read(&path, &[])?.body;
            match (global.output, message["text"].as_str()) {
                (Format::Table, Some(text)) => output::print_foreign(text),
                _ => output::object(global, &message),
            }
        }
        TraceCommand::Ladder {
            sip_call_id,
            drawing,
        } => {
            let query = [("sip_call_id", sip_call_id.as_str())];
            draw(
                global,
                &client.read("/v1/traces/ladder", &query)?.body,
                *drawing,
            )
        }
        TraceCommand::Export { flags, file } => export(&client, flags, file),
        TraceCommand::Status => {
            output::object(global, &client.read("/v1/traces/status", &[])?.body)
        }
    }
}

/// Draws a ladder, or prints what it is drawn from.
pub(crate) fn draw(global: &Global, body: &Value, drawing: Drawing) -> Result<(), Failure> {
    Unheard::of("messages").say(body);
    if global.output != Format::Table {
        return output::object(global, body);
    }
    let ladder: Ladder = serde_json::from_value(body.clone())
        .map_err(|e| Failure::Failed(format!("the platform's answer is no ladder: {e}")))?;
    let detail = match drawing.sdp {
        true => Detail::Descriptions,
        false => Detail::Arrows,
    };
    output::print_foreign(&lines(&ladder, detail))
}

fn export(client: &Client, flags: &TraceFlags, file: &Path) -> Result<(), Failure> {
    let is_capture = file.extension().is_some_and(|ending| ending == "pcap");
    let path = match is_capture {
        true => "/v1/traces/export.pcap",
        false => "/v1/traces/export.txt",
    };
    let query = flags.query(client)?;
    let query: Vec<_> = query
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut bytes = Vec::new();
    let (headers, mut answer) = client.open(path, &query)?;
    let lost = |e| Failure::Unreachable(format!("the answer broke off: {e}"));
    answer.read_to_end(&mut bytes).map_err(lost)?;
    std::fs::write(file, bytes)
        .map_err(|e| Failure::Failed(format!("{} cannot be written: {e}", file.display())))?;
    let unheard = headers.get("tandem-unheard").and_then(|v| v.to_str().ok());
    if let Some(unheard) = unheard {
        output::say(&format!("The messages of {unheard} are missing in it."));
    }
    output::say(&format!("written to {}", file.display()));
    Ok(())
}

const COLUMNS: &[output::Column] = &[
    ("ID", "id"),
    ("SERVER", "server_name"),
    ("SEEN", "at_us"),
    ("MESSAGE", "title"),
    ("METHOD", "method"),
    ("FROM", "from"),
    ("TO", "to"),
    ("VIA", "transport"),
    ("CALLER", "caller"),
    ("CALLED", "called"),
    ("CALL-ID", "sip_call_id"),
];
