//! `tandem token`: who may ask the API for what.

use clap::Subcommand;
use serde_json::json;

use crate::account::ACCOUNT;
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::moment::{now_us, span_us};
use crate::output;
use crate::records::id_of;
use crate::zone::ZONE;

/// What can be done with tokens.
#[derive(Subcommand, Debug)]
pub(crate) enum TokenCommand {
    /// Lists them
    List,
    /// Makes one, and shows it this once
    Create {
        /// What it is called
        name: String,
        /// What it may do
        #[arg(long, value_parser = ["viewer", "operator", "admin"], default_value = "viewer")]
        role: String,
        /// The account it is confined to, by its name or identifier
        #[arg(long)]
        account: Option<String>,
        /// A zone it is confined to, by its name or identifier; may be repeated
        #[arg(long = "zone", value_name = "ZONE")]
        zones: Vec<String>,
        /// An area of the API that it may use, such as cdrs or users:read; may be repeated; all that
        /// the role may, if left out
        #[arg(long = "scope", value_name = "AREA[:read]")]
        scopes: Vec<String>,
        /// How long it is valid, as 12h or 30d; for ever, if left out
        #[arg(long, value_parser = span_us)]
        expires_in: Option<u64>,
    },
    /// Deletes some; they are refused from now on
    Delete {
        /// Their identifiers
        #[arg(required = true)]
        tokens: Vec<String>,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: TokenCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        TokenCommand::List => {
            let answer = client.read("/v1/tokens", &[])?.body;
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            let columns = [
                ("ID", "id"),
                ("NAME", "name"),
                ("ROLE", "role"),
                ("ACCOUNT", "account"),
                ("ZONES", "zones"),
                ("SCOPES", "scopes"),
                ("CREATED", "created_us"),
                ("LAST USED", "last_used_us"),
                ("EXPIRES", "expires_us"),
            ];
            output::list(global, &items, &columns)
        }
        TokenCommand::Create {
            name,
            role,
            account,
            zones,
            scopes,
            expires_in,
        } => {
            let account = account.map(|account| id_of(&client, &ACCOUNT, &account));
            let account = account.transpose()?;
            let zones = zones.iter().map(|zone| id_of(&client, &ZONE, zone));
            let zones = zones.collect::<Result<Vec<_>, _>>()?;
            let expires_us = expires_in.map(|span_us| now_us().saturating_add(span_us));
            let body = json!({
                "name": name,
                "role": role,
                "account": account,
                "zones": zones,
                "scopes": scopes,
                "expires_us": expires_us,
            });
            let created = client.create("/v1/tokens", &body)?.body;
            output::say("The token is shown only now.");
            output::object(global, &created)
        }
        TokenCommand::Delete { tokens } => {
            output::confirm(global, &format!("Delete token {}?", tokens.join(", ")))?;
            for id in tokens {
                client.delete(&format!("/v1/tokens/{}", encode(&id)))?;
                output::say(&format!("token {id} is deleted"));
            }
            Ok(())
        }
    }
}
