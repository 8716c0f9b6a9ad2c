//! `tandem dispatcher target`: where a dispatcher sends calls.

use clap::{Args, Subcommand};
use node::TargetRecord;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with targets.
#[derive(Subcommand, Debug)]
pub(super) enum TargetCommand {
    /// Shows all, and how each is
    List,
    /// Shows one
    Show {
        /// Its name
        target: String,
    },
    /// Adds one
    Add {
        /// `NAME=TRANSPORT:ADDRESS:PORT[,weight=N][,priority=N][,calls=N][,cps=N]`
        #[arg(value_parser = parse)]
        target: TargetRecord,
    },
    /// Changes one; calls stay up
    Update {
        /// Its name
        target: String,
        #[command(flatten)]
        fields: TargetFields,
    },
    /// Lets one take no new calls; the log and its state say when the last one has left
    Drain {
        /// Its name
        target: String,
    },
    /// Lets a drained one take calls again
    Resume {
        /// Its name
        target: String,
    },
    /// Takes one out; calls it still has go on to it
    Remove {
        /// Its name
        target: String,
    },
}

/// What can be changed.
#[derive(Args, Debug)]
pub(super) struct TargetFields {
    /// Where it is, as udp:10.0.0.1:5060
    #[arg(long)]
    address: Option<String>,
    /// Its share among those of its priority, 1 to 1000
    #[arg(long)]
    weight: Option<u16>,
    /// Those of the lowest number come first
    #[arg(long)]
    priority: Option<u16>,
    /// Calls at a time; 0 for no limit
    #[arg(long)]
    calls_max: Option<u32>,
    /// New calls per second; 0 for no limit
    #[arg(long)]
    cps_max: Option<u32>,
}

/// Does it.
pub(super) fn run(global: &Global, command: TargetCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let at = |name: &str| format!("/v1/targets/{name}");
    match command {
        TargetCommand::List => {
            let reply = client.read("/v1/targets", &[])?;
            let items = reply.body["items"].as_array();
            output::list(global, items.map_or(&[], Vec::as_slice), &COLUMNS)
        }
        TargetCommand::Show { target } => {
            let reply = client.read(&at(&target), &[])?;
            output::object(global, &reply.body)
        }
        TargetCommand::Add { target } => {
            let body = serde_json::to_value(&target).unwrap_or_default();
            let reply = client.create("/v1/targets", &body)?;
            output::object(global, &reply.body)
        }
        TargetCommand::Update { target, fields } => {
            let reply = client.change(&at(&target), None, &fields.body())?;
            output::object(global, &reply.body)
        }
        TargetCommand::Drain { target } => {
            let reply = client.ask("POST", &format!("{}/drain", at(&target)), &[], None, None)?;
            output::object(global, &reply.body)
        }
        TargetCommand::Resume { target } => {
            let reply = client.ask("POST", &format!("{}/resume", at(&target)), &[], None, None)?;
            output::object(global, &reply.body)
        }
        TargetCommand::Remove { target } => {
            client.delete(&at(&target))?;
            output::say(&format!("target {target} removed"));
            Ok(())
        }
    }
}

impl TargetFields {
    fn body(&self) -> Value {
        let limit = |limit: u32| match limit {
            0 => Value::Null,
            limit => json!(limit),
        };
        let fields = [
            ("address", self.address.as_ref().map(|text| json!(text))),
            ("weight", self.weight.map(|weight| json!(weight))),
            ("priority", self.priority.map(|priority| json!(priority))),
            ("calls_max", self.calls_max.map(limit)),
            ("cps_max", self.cps_max.map(limit)),
        ];
        let given = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(Map::from_iter(given))
    }
}

/// A target as flags have it.
pub(crate) fn parse(text: &str) -> Result<TargetRecord, String> {
    let wanted =
        || format!("NAME=TRANSPORT:ADDRESS:PORT is wanted, as a=udp:10.0.0.1:5060: {text}");
    let (name, rest) = text.split_once('=').ok_or_else(wanted)?;
    let mut parts = rest.split(',');
    let mut record = TargetRecord {
        name: name.to_owned(),
        address: parts.next().unwrap_or_default().to_owned(),
        weight: 1,
        priority: 0,
        calls_max: None,
        cps_max: None,
        draining: false,
        tls_name: String::new(),
    };
    for part in parts {
        let (key, value) = part.split_once('=').ok_or_else(wanted)?;
        let number = || value.parse::<u32>().map_err(|_| wanted());
        let small = || value.parse::<u16>().map_err(|_| wanted());
        match key {
            "weight" => record.weight = small()?,
            "priority" => record.priority = small()?,
            "calls" => record.calls_max = Some(number()?),
            "cps" => record.cps_max = Some(number()?),
            "tls-name" => value.clone_into(&mut record.tls_name),
            _ => return Err(wanted()),
        }
    }
    Ok(record)
}

/// How targets are listed.
pub(super) const COLUMNS: [(&str, &str); 9] = [
    ("NAME", "name"),
    ("ADDRESS", "address"),
    ("STATE", "state"),
    ("CAUSE", "cause"),
    ("PRIORITY", "priority"),
    ("WEIGHT", "weight"),
    ("CALLS", "calls"),
    ("CHOSEN", "chosen_total"),
    ("RTT", "probe_rtt_us"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_named_with_its_address_and_limits() {
        let record = parse("a=udp:10.0.0.1:5060,weight=3,priority=1,calls=100").unwrap();
        assert_eq!((record.name.as_str(), record.weight), ("a", 3));
        assert_eq!(record.address, "udp:10.0.0.1:5060");
        assert_eq!((record.priority, record.calls_max), (1, Some(100)));
        for wrong in ["a", "a=udp:1.2.3.4:5,weigth=2", "a=udp:1.2.3.4:5,weight=x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
