//! `tandem registration`: contacts that users have registered.

use clap::Subcommand;

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::{LIST_LIMIT, id_of, pages, path_of};
use crate::server::SERVER;
use crate::user::USER;

/// What can be done with registrations.
#[derive(Subcommand, Debug)]
pub(crate) enum RegistrationCommand {
    /// Lists them
    List {
        /// Contacts of this user
        #[arg(long)]
        user: Option<String>,
        /// Those at this server, by name or identifier: it is asked for them
        #[arg(long, conflicts_with = "user")]
        server: Option<String>,
        /// With this in address of record, contact or user agent
        #[arg(long)]
        text: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
    /// Removes some; their devices may register again
    Remove {
        /// Their identifiers
        #[arg(required = true)]
        registrations: Vec<String>,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: RegistrationCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        RegistrationCommand::List {
            user,
            server,
            text,
            limit,
        } => {
            let user = user.map(|user| id_of(&client, &USER, &user)).transpose()?;
            let path = match server {
                Some(server) => format!("{}/registrations", path_of(&client, &SERVER, &server)?),
                None => "/v1/registrations".to_owned(),
            };
            let user = user.iter().map(|user| ("user", user.as_str()));
            let query: Vec<(&str, &str)> = user
                .chain(text.as_deref().map(|text| ("text", text)))
                .collect();
            let items = pages(&client, &path, &query, limit)?;
            let columns = [
                ("ID", "id"),
                ("ADDRESS OF RECORD", "aor"),
                ("CONTACT", "contact"),
                ("RECEIVED FROM", "received"),
                ("USER AGENT", "user_agent"),
                ("RTT", "rtt_us"),
                ("ROUTABLE", "routable"),
                ("NODE", "node"),
                ("EXPIRES", "expires_us"),
            ];
            output::list(global, &items, &columns)
        }
        RegistrationCommand::Remove { registrations } => {
            output::confirm(
                global,
                &format!("Remove registration {}?", registrations.join(", ")),
            )?;
            for id in registrations {
                client.delete(&format!("/v1/registrations/{}", encode(&id)))?;
                output::say(&format!("registration {id} is removed"));
            }
            Ok(())
        }
    }
}
