//! `tandem server target`: where a dispatcher of the platform sends calls.

use clap::Subcommand;
use node::TargetRecord;
use serde_json::{Value, json};

use super::SERVER;
use crate::client::{Client, encode};
use crate::dispatcher::target::parse;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records;
use crate::task;

/// What can be done with the targets of a dispatcher.
#[derive(Subcommand, Debug)]
pub(crate) enum TargetCommand {
    /// Shows all, and how each is
    List {
        /// The dispatcher, by name or identifier
        server: String,
    },
    /// Adds one; calls stay up
    Add {
        /// The dispatcher, by name or identifier
        server: String,
        /// `NAME=TRANSPORT:ADDRESS:PORT[,weight=N][,priority=N][,calls=N][,cps=N]`
        #[arg(value_parser = parse)]
        target: TargetRecord,
    },
    /// Gives one another weight; calls stay up
    Weight {
        /// The dispatcher, by name or identifier
        server: String,
        /// The name of the target
        target: String,
        /// Its share among those of its priority, 1 to 1000
        weight: u16,
    },
    /// Has one get no new calls; those it has go on
    Drain {
        /// The dispatcher, by name or identifier
        server: String,
        /// The name of the target
        target: String,
        /// Waits until no call is left
        #[arg(long)]
        wait: bool,
    },
    /// Has a drained one get calls again
    Resume {
        /// The dispatcher, by name or identifier
        server: String,
        /// The name of the target
        target: String,
    },
    /// Takes one out; calls it still has go on to it
    Remove {
        /// The dispatcher, by name or identifier
        server: String,
        /// The name of the target
        target: String,
    },
}

/// Does it.
pub(super) fn run(global: &Global, command: TargetCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let id_of = |server: &str| records::id_of(&client, &SERVER, server);
    match command {
        TargetCommand::List { server } => {
            let report = report(&client, &id_of(&server)?)?;
            let items = report["targets"].as_array();
            output::list(global, items.map_or(&[], Vec::as_slice), &COLUMNS)
        }
        TargetCommand::Add { server, target } => change_set(&client, &id_of(&server)?, |targets| {
            let name = target.name.clone();
            targets.push(serde_json::to_value(target).unwrap_or_default());
            Ok(format!("target {name} added"))
        }),
        TargetCommand::Remove { server, target } => {
            change_set(&client, &id_of(&server)?, |targets| {
                let before = targets.len();
                targets.retain(|known| known["name"] != target);
                match targets.len() < before {
                    true => Ok(format!("target {target} removed")),
                    false => Err(Failure::Failed(format!("there is no target {target}"))),
                }
            })
        }
        TargetCommand::Weight {
            server,
            target,
            weight,
        } => {
            let path = path(&id_of(&server)?, &target);
            let body = json!({ "weight": weight });
            let begun = client.ask("PATCH", &path, &[], Some(&body), None)?.body;
            task::wait(global, &client, &begun)
        }
        TargetCommand::Drain {
            server,
            target,
            wait,
        } => {
            let id = id_of(&server)?;
            let calls = calls_of(&report(&client, &id)?, &target);
            output::say(&format!("{target} has {calls} calls; they go on"));
            let path = format!("{}/drain", path(&id, &target));
            let begun = client.ask("POST", &path, &[], None, None)?.body;
            match wait {
                true => task::wait(global, &client, &begun),
                false => output::object(global, &begun),
            }
        }
        TargetCommand::Resume { server, target } => {
            let path = format!("{}/resume", path(&id_of(&server)?, &target));
            let begun = client.ask("POST", &path, &[], None, None)?.body;
            task::wait(global, &client, &begun)
        }
    }
}

fn path(id: &str, target: &str) -> String {
    format!("/v1/servers/{id}/targets/{}", encode(target))
}

/// What the dispatcher says of its targets.
fn report(client: &Client, id: &str) -> Result<Value, Failure> {
    let health = client.read(&format!("/v1/server-health?server={id}"), &[])?;
    let server = &health.body["items"][0];
    match &server["report"]["dispatcher"] {
        Value::Null => {
            let cause = server["cause"]
                .as_str()
                .unwrap_or("there is no such server");
            Err(Failure::Failed(format!(
                "it says nothing of targets: {cause}"
            )))
        }
        report => Ok(report.clone()),
    }
}

/// Changes the targets that control has for it; those it has by itself, if control has none.
fn change_set(
    client: &Client,
    id: &str,
    change: impl FnOnce(&mut Vec<Value>) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let path = format!("/v1/servers/{id}");
    let found = client.read(&path, &[])?;
    let mut set = match &found.body["dispatching"] {
        Value::Null => report(client, id)?["set"].clone(),
        set => set.clone(),
    };
    let mut targets = set["targets"].as_array().cloned().unwrap_or_default();
    let said = change(&mut targets)?;
    set["targets"] = Value::Array(targets);
    let body = json!({ "dispatching": set });
    client.change(&path, found.etag.as_deref(), &body)?;
    output::say(&said);
    Ok(())
}

/// How many calls a target has, in words.
fn calls_of(report: &Value, target: &str) -> String {
    let targets = report["targets"].as_array().into_iter().flatten();
    let own = targets.filter(|known| known["record"] == target);
    let calls = own
        .map(|known| known["calls"].as_u64())
        .sum::<Option<u64>>();
    calls.map_or("an unknown number of".into(), |calls| calls.to_string())
}

/// How targets are listed.
const COLUMNS: [(&str, &str); 12] = [
    ("NAME", "name"),
    ("ADDRESS", "address"),
    ("STATE", "state"),
    ("CAUSE", "cause"),
    ("SINCE", "since_us"),
    ("PRIORITY", "priority"),
    ("WEIGHT", "weight"),
    ("CALLS", "calls"),
    ("SHARE %", "share_percent"),
    ("LATENCY", "latency_us"),
    ("RTT", "probe_rtt_us"),
    ("LAST FAILURE", "last_failure"),
];
