//! `tandem route`: which carrier takes which numbers, and what a call would do.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::account::ACCOUNT;
use crate::carrier::CARRIER;
use crate::client::Client;
use crate::customer::CUSTOMER;
use crate::failure::Failure;
use crate::flags::RewriteFlags;
use crate::global::{Format, Global};
use crate::output;
use crate::records::{self, Fields, Noun, RecordCommand, id_of};
use crate::user::USER;

/// What can be done with routes.
#[derive(Subcommand, Debug)]
pub(crate) enum RouteCommand {
    #[command(flatten)]
    Record(RecordCommand<RouteFields>),
    /// Shows what would happen to a call, step by step
    Simulate(SimulateFlags),
}

/// A call that is only thought of.
#[derive(Args, Debug)]
pub(crate) struct SimulateFlags {
    /// The called number or name
    called: String,
    /// The caller's number or name
    #[arg(long)]
    caller: Option<String>,
    /// The calling user
    #[arg(long, conflicts_with_all = ["customer", "source"])]
    user: Option<String>,
    /// The customer who sends the call
    #[arg(long, conflicts_with = "source")]
    customer: Option<String>,
    /// The address the call comes from, with or without its port
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    source: Option<String>,
    /// When, in microseconds since the Unix epoch; now, if left out
    #[arg(long)]
    at_us: Option<u64>,
}

/// Does it.
pub(crate) fn run(global: &Global, command: RouteCommand) -> Result<(), Failure> {
    match command {
        RouteCommand::Record(command) => records::run(global, command),
        RouteCommand::Simulate(flags) => simulate(global, &flags),
    }
}

fn simulate(global: &Global, flags: &SimulateFlags) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let mut query = Map::from_iter([("called".to_owned(), json!(flags.called))]);
    for (name, noun, value) in [
        ("user", &USER, &flags.user),
        ("customer", &CUSTOMER, &flags.customer),
    ] {
        if let Some(value) = value {
            query.insert(name.into(), json!(id_of(&client, noun, value)?));
        }
    }
    for (name, value) in [("caller", &flags.caller), ("source", &flags.source)] {
        if let Some(value) = value {
            query.insert(name.into(), json!(value));
        }
    }
    if let Some(at_us) = flags.at_us {
        query.insert("at_us".into(), json!(at_us));
    }
    let simulation = client
        .create("/v1/routes/simulate", &Value::Object(query))?
        .body;
    if global.output == Format::Table {
        return output::print(&told(&simulation));
    }
    output::object(global, &simulation)
}

/// A simulation for people: numbered steps, then what comes out.
fn told(simulation: &Value) -> String {
    let mut text = String::new();
    let steps = simulation["steps"].as_array().into_iter().flatten();
    for (number, step) in (1..).zip(steps) {
        text.push_str(&format!("{number:>3}. {}\n", step.as_str().unwrap_or("")));
    }
    let outcome = simulation["outcome"].as_str().unwrap_or("unknown");
    match simulation["status"].as_u64() {
        Some(status) => text.push_str(&format!("outcome: {outcome} ({status})\n")),
        None => text.push_str(&format!("outcome: {outcome}\n")),
    }
    for target in simulation["targets"].as_array().into_iter().flatten() {
        let number = target["number"]
            .as_str()
            .filter(|number| !number.is_empty());
        let number = number.map_or_else(String::new, |number| format!(" as {number}"));
        let available = if target["available"] == false {
            " (not available now)"
        } else {
            ""
        };
        let line = format!(
            "  -> {}{number}{available}\n",
            target["uri"].as_str().unwrap_or("?")
        );
        text.push_str(&line);
    }
    text
}

/// Fields of a route.
#[derive(Args, Serialize, Debug)]
pub(crate) struct RouteFields {
    /// Leading digits without +; "" matches every number
    #[arg(long)]
    prefix: Option<String>,
    /// The account it serves; all, if left out
    #[arg(long)]
    account: Option<String>,
    /// Who takes the call
    #[arg(long)]
    carrier: Option<String>,
    /// Lower is tried first
    #[arg(long)]
    priority: Option<u16>,
    /// What a minute costs us, in millionths of the platform's currency
    #[arg(long)]
    cost_per_minute_micros: Option<u64>,
    /// The media zone its calls are served in
    #[arg(long)]
    media_zone: Option<String>,
    /// Whether it is used
    #[arg(long)]
    enabled: Option<bool>,
    #[command(flatten)]
    rewrite: RewriteFlags,
}

impl Fields for RouteFields {
    const NOUN: &'static Noun = &ROUTE;
}

/// Routes.
pub(crate) static ROUTE: Noun = Noun {
    singular: "route",
    plural: "routes",
    prefix: "rte_",
    label: "prefix",
    columns: &[
        ("ID", "id"),
        ("PREFIX", "prefix"),
        ("CARRIER", "carrier"),
        ("PRIORITY", "priority"),
        ("COST", "cost_per_minute_micros"),
        ("STRIP", "rewrite.strip_digits"),
        ("PREPEND", "rewrite.prepend"),
        ("ENABLED", "enabled"),
    ],
    references: &[("account", &ACCOUNT), ("carrier", &CARRIER)],
    owner: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_is_told_step_by_step() {
        let simulation = json!({
            "outcome": "carrier", "status": null, "steps": ["user alice calls 4930", "route 49 takes it"],
            "targets": [{ "uri": "sip:4930@gw.example", "number": "4930", "available": false }],
        });
        assert_eq!(
            told(&simulation),
            "  1. user alice calls 4930\n  2. route 49 takes it\noutcome: carrier\n  \
             -> sip:4930@gw.example as 4930 (not available now)\n"
        );
    }
}
