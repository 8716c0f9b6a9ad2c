//! `tandem gateway`: addresses of carriers, and how they are.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::carrier::CARRIER;
use crate::client::Client;
use crate::failure::Failure;
use crate::flags::LimitFlags;
use crate::global::Global;
use crate::output;
use crate::records::{self, Fields, LIST_LIMIT, Noun, RecordCommand};

/// What can be done with gateways.
#[derive(Subcommand, Debug)]
pub(crate) enum GatewayCommand {
    #[command(flatten)]
    Record(Box<RecordCommand<GatewayFields>>),
    /// Shows how every gateway is
    Health,
}

/// Does it.
pub(crate) fn run(global: &Global, command: GatewayCommand) -> Result<(), Failure> {
    match command {
        GatewayCommand::Record(command) => records::run(global, *command),
        GatewayCommand::Health => {
            let items =
                records::pages(&Client::of(global)?, "/v1/gateway-health", &[], LIST_LIMIT)?;
            let columns = [
                ("GATEWAY", "gateway"),
                ("NAME", "name"),
                ("UP", "up"),
                ("RTT", "rtt_us"),
                ("CHANNELS", "channels"),
                ("REGISTRATION", "registration.state"),
                ("NODE", "registration.node"),
                ("LAST FAILURE", "last_failure"),
                ("REGISTRATION FAILURE", "registration.last_failure"),
            ];
            output::list(global, &items, &columns)
        }
    }
}

/// Fields of a gateway.
#[derive(Args, Serialize, Debug)]
pub(crate) struct GatewayFields {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// The carrier it belongs to
    #[arg(long)]
    carrier: Option<String>,
    /// A host name or an IP address
    #[arg(long)]
    host: Option<String>,
    /// The port; found by DNS (RFC 3263) if left out
    #[arg(long)]
    port: Option<u16>,
    /// The transport; found by DNS (RFC 3263) if left out
    #[arg(long, value_parser = ["udp", "tcp", "tls", "ws", "wss", ""])]
    transport: Option<String>,
    /// Lower is tried first
    #[arg(long)]
    priority: Option<u16>,
    /// Share among equals of one priority
    #[arg(long)]
    weight: Option<u16>,
    /// How often it is checked by OPTIONS; 0 for never
    #[arg(long, value_name = "SECONDS")]
    ping_interval_s: Option<u16>,
    /// How long it may stay silent before the next is tried; 0 for the platform's default
    #[arg(long, value_name = "MILLISECONDS")]
    no_answer_timeout_ms: Option<u32>,
    /// Our digest user name there
    #[arg(long)]
    #[serde(skip)]
    username: Option<String>,
    /// Our digest password there
    #[arg(long)]
    #[serde(skip)]
    password: Option<String>,
    /// Whether we register there; true is implied by the other --register flags
    #[arg(long)]
    #[serde(skip)]
    register: Option<bool>,
    /// The user we register as, if it is not the digest user name
    #[arg(long, value_name = "USER")]
    #[serde(skip)]
    register_user: Option<String>,
    /// The domain we register in, if it is not the host
    #[arg(long, value_name = "DOMAIN")]
    #[serde(skip)]
    register_domain: Option<String>,
    /// Where its calls are to come, if not to the node that registers: a dispatcher
    #[arg(long, value_name = "HOST[:PORT]")]
    #[serde(skip)]
    register_contact: Option<String>,
    /// How long a registration is asked to last; 3600 by default
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip)]
    register_expiry_s: Option<u32>,
    /// Whether calls from it are accepted
    #[arg(long)]
    inbound: Option<bool>,
    /// Whether it is used
    #[arg(long)]
    enabled: Option<bool>,
    #[command(flatten)]
    limits: LimitFlags,
}

impl Fields for GatewayFields {
    const NOUN: &'static Noun = &GATEWAY;

    /// Whether we are registered there, and which node has the registration.
    fn attend(client: &Client, records: &mut [Value]) -> Result<(), Failure> {
        if records
            .iter()
            .all(|record| record["registration"].is_null())
        {
            return Ok(());
        }
        let health = records::pages(client, "/v1/gateway-health", &[], LIST_LIMIT)?;
        for record in records {
            let is_it = |health: &&Value| health["gateway"] == record["id"];
            let known = health.iter().find(is_it);
            if let Some(registered) = known.map(|health| &health["registration"])
                && registered.is_object()
            {
                record["registered"] = json!({
                    "state": registered["state"],
                    "node": registered["node"],
                });
            }
        }
        Ok(())
    }

    fn complete(&self, body: &mut Map<String, Value>) {
        let auth = [("username", &self.username), ("password", &self.password)];
        let given = auth
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), json!(value.as_ref()?))));
        let given: Map<String, Value> = given.collect();
        if !given.is_empty() {
            body.insert("auth".into(), Value::Object(given));
        }
        if self.register == Some(false) {
            body.insert("registration".into(), Value::Null);
            return;
        }
        let mut registration = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                registration.insert(name.to_owned(), value);
            }
        };
        put("user", self.register_user.as_ref().map(|v| json!(v)));
        put("domain", self.register_domain.as_ref().map(|v| json!(v)));
        put("contact", self.register_contact.as_ref().map(|v| json!(v)));
        put("expiry_s", self.register_expiry_s.map(|v| json!(v)));
        if self.register == Some(true) || !registration.is_empty() {
            body.insert("registration".into(), Value::Object(registration));
        }
    }
}

/// Gateways.
pub(crate) static GATEWAY: Noun = Noun {
    singular: "gateway",
    plural: "gateways",
    prefix: "gw_",
    label: "name",
    columns: &[
        ("ID", "id"),
        ("NAME", "name"),
        ("CARRIER", "carrier"),
        ("HOST", "host"),
        ("PORT", "port"),
        ("TRANSPORT", "transport"),
        ("PRIORITY", "priority"),
        ("WEIGHT", "weight"),
        ("ENABLED", "enabled"),
        ("REGISTRATION", "registered.state"),
        ("NODE", "registered.node"),
    ],
    references: &[("carrier", &CARRIER)],
    owner: None,
};
