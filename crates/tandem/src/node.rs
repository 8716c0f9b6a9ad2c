//! `tandem node`: machines join the platform.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::moment::span_us;
use crate::output;
use crate::records;
use crate::server::SERVER;

/// What can be done with nodes.
#[derive(Subcommand, Debug)]
pub(crate) enum NodeCommand {
    /// Makes a token by which one machine joins, and shows it this once
    Token(TokenFlags),
    /// Lists the tokens that were not used yet
    Tokens,
    /// Deletes tokens; they are refused from now on
    DeleteToken {
        /// Their identifiers
        #[arg(required = true)]
        tokens: Vec<String>,
    },
    /// Makes this machine a node of a platform: `tandem up`, `tandem dispatcher` or `tandem media`
    /// works for it from then on
    Join {
        /// Where the platform's control takes nodes, host:port
        control: String,
        /// The token that `tandem node token` has shown there
        // A flag of all commands is called "token".
        #[arg(id = "join_token", value_name = "TOKEN")]
        token: String,
    },
}

/// What the machine will be.
#[derive(Args, Debug)]
pub(crate) struct TokenFlags {
    /// What the server will be called; as the machine is called, if left out
    #[arg(long)]
    name: Option<String>,
    /// The zone it will stand in
    #[arg(long)]
    zone: Option<String>,
    /// The cluster it will belong to
    #[arg(long)]
    cluster: Option<String>,
    /// The server that the machine will be, by name or identifier; a new one, if left out
    #[arg(long)]
    server: Option<String>,
    /// What a new server will do
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// How long the token is good, as 10m or 1d
    #[arg(long, value_parser = span_us, default_value = "1h")]
    valid: u64,
}

/// What a server does.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Takes calls
    Switch,
    /// Spreads calls over switches
    Dispatcher,
    /// Relays media
    Media,
}

/// Does it.
pub(crate) fn run(global: &Global, command: NodeCommand) -> Result<(), Failure> {
    match command {
        NodeCommand::Token(flags) => token(global, &flags),
        NodeCommand::Tokens => {
            let answer = Client::of(global)?.read("/v1/join-tokens", &[])?.body;
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            let columns = [
                ("ID", "id"),
                ("NAME", "name"),
                ("ZONE", "zone"),
                ("CLUSTER", "cluster"),
                ("SERVER", "server"),
                ("ROLE", "role"),
                ("EXPIRES", "expires_us"),
            ];
            output::list(global, &items, &columns)
        }
        NodeCommand::DeleteToken { tokens } => {
            let client = Client::of(global)?;
            for id in tokens {
                client.delete(&format!("/v1/join-tokens/{}", encode(&id)))?;
                output::say(&format!("token {id} is deleted"));
            }
            Ok(())
        }
        NodeCommand::Join { control, token } => {
            let joined = node::join(&global.data, &control, &token)
                .map_err(|error| Failure::Failed(format!("{error:#}")))?;
            let works = match joined.role.as_str() {
                "dispatcher" => "dispatcher` spreads calls",
                "media" => "media` relays media",
                _ => "up` takes calls",
            };
            output::say(&format!(
                "this machine is server {} of the platform; `tandem --data {} {works} for it",
                joined.name,
                global.data.display()
            ));
            output::object(
                global,
                &json!({
                    "server": joined.server,
                    "name": joined.name,
                    "role": joined.role,
                    "certificate_expires_us": joined.expires_us,
                    "revision": joined.revision,
                }),
            )
        }
    }
}

fn token(global: &Global, flags: &TokenFlags) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let server = flags.server.as_deref();
    let server = server
        .map(|server| records::id_of(&client, &SERVER, server))
        .transpose()?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let body = json!({
        "name": text(&flags.name),
        "zone": text(&flags.zone),
        "cluster": text(&flags.cluster),
        "server": server,
        "role": flags.role.and_then(|role| role.to_possible_value()).map(|v| v.get_name().to_owned()),
        "valid_s": flags.valid / 1_000_000,
    });
    let made = client.create("/v1/join-tokens", &body)?.body;
    output::say(&format!(
        "The token is shown only now. On the machine: tandem node join HOST:{} {}",
        made["port"],
        made["token"].as_str().unwrap_or_default()
    ));
    output::object(global, &made)
}
