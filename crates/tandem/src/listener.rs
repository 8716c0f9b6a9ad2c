//! `tandem listener`: sockets that are open for SIP.

use clap::Subcommand;
use serde_json::json;

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with listeners.
#[derive(Subcommand, Debug)]
pub(crate) enum ListenerCommand {
    /// Lists them with their buffers and connections
    List,
    /// Opens another one, at once and at every later start
    Add {
        /// What is spoken on it
        #[arg(value_parser = ["udp", "tcp", "tls", "ws", "wss"])]
        transport: String,
        /// The local address:port
        address: String,
        /// Whether clients are asked for a certificate of an authority in `tls/clients.pem`, or
        /// have to have one; of tls and wss alone
        #[arg(long, value_parser = ["unasked", "asked", "demanded"], default_value = "unasked")]
        client_certificates: String,
    },
    /// Closes one
    Remove {
        /// Its identifier
        listener: String,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: ListenerCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        ListenerCommand::List => {
            let answer = client.read("/v1/listeners", &[])?.body;
            let columns = [
                ("ID", "id"),
                ("TRANSPORT", "transport"),
                ("ADDRESS", "address"),
                ("ADVERTISED", "advertised"),
                ("RECEIVE BUFFER", "receive_buffer_bytes"),
                ("ASKED FOR", "receive_buffer_asked_bytes"),
                ("CONNECTIONS", "connections"),
            ];
            output::list(
                global,
                answer["items"].as_array().map_or(&[], Vec::as_slice),
                &columns,
            )
        }
        ListenerCommand::Add {
            transport,
            address,
            client_certificates,
        } => {
            let body = json!({
                "transport": transport,
                "address": address,
                "client_certificates": client_certificates,
            });
            output::object(global, &client.create("/v1/listeners", &body)?.body)
        }
        ListenerCommand::Remove { listener } => {
            output::confirm(global, &format!("Close listener {listener}?"))?;
            client.delete(&format!("/v1/listeners/{}", encode(&listener)))?;
            output::say(&format!("listener {listener} is closed"));
            Ok(())
        }
    }
}
