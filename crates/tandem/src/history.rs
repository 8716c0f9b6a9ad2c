//! `tandem history`: what was measured, over time.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::moment::{now_us, span_us};
use crate::output::{self, Column};
use crate::{records, server};

/// What can be asked about it.
#[derive(Subcommand, Debug)]
pub(crate) enum HistoryCommand {
    /// Shows calls, their quality and the load of servers, step by step
    Show(HistoryFlags),
}

/// Which part of it.
#[derive(Args, Debug)]
pub(crate) struct HistoryFlags {
    /// Of this server, by name or identifier; of all together if it is left out
    #[arg(long)]
    server: Option<String>,
    /// For how long before the end, as 15m, 6h or 7d, which is all there is
    #[arg(long, value_parser = span_us, default_value = "1h")]
    within: u64,
    /// How long before now it ends, as 24h
    #[arg(long, value_name = "TIME", value_parser = span_us)]
    before: Option<u64>,
    /// How long a step is: minutes, as 5m
    #[arg(long, value_parser = span_us)]
    step: Option<u64>,
    /// Only these figures, with commas between them, as asr,pdd_p95_ms
    #[arg(long)]
    figures: Option<String>,
}

/// Does it.
pub(crate) fn run(
    global: &Global,
    HistoryCommand::Show(flags): HistoryCommand,
) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let to_us = now_us().saturating_sub(flags.before.unwrap_or(0));
    let mut query = vec![
        ("from_us", to_us.saturating_sub(flags.within).to_string()),
        ("to_us", to_us.to_string()),
    ];
    if let Some(server) = &flags.server {
        query.push(("server", records::id_of(&client, &server::SERVER, server)?));
    }
    if let Some(step_us) = flags.step {
        query.push(("step_s", (step_us / 1_000_000).to_string()));
    }
    if let Some(figures) = &flags.figures {
        query.push(("figures", figures.clone()));
    }
    let query: Vec<(&str, &str)> = query.iter().map(|(name, v)| (*name, v.as_str())).collect();
    let answer = client.read("/v1/history", &query)?.body;
    if !matches!(global.output, Format::Table) {
        return output::object(global, &answer);
    }
    let wanted = COLUMNS.iter().filter(|(_, figure)| match &flags.figures {
        Some(figures) => figures.split(',').any(|wanted| wanted.trim() == *figure),
        None => !SELDOM.contains(figure),
    });
    let mut columns: Vec<Column> = vec![("TIME", "at_us")];
    columns.extend(wanted);
    output::list(global, &steps(&answer), &columns)
}

/// One object for each step, in which what nobody has measured is null.
fn steps(answer: &Value) -> Vec<Value> {
    let times = answer["at_us"].as_array().map_or(&[][..], Vec::as_slice);
    let figures = answer["figures"].as_object();
    let step = |(place, at_us): (usize, &Value)| {
        let mut step = Map::from_iter([("at_us".to_owned(), at_us.clone())]);
        for (figure, values) in figures.into_iter().flatten() {
            step.insert(figure.clone(), values[place].clone());
        }
        Value::Object(step)
    };
    times.iter().enumerate().map(step).collect()
}

const COLUMNS: [Column; 16] = [
    ("SERVERS", "servers"),
    ("ATTEMPTS", "attempts"),
    ("ANSWERED", "answered"),
    ("FAILED", "failed"),
    ("CHANNELS", "channels"),
    ("MOST", "channels_peak"),
    ("CPS", "cps"),
    ("MOST CPS", "cps_peak"),
    ("ASR %", "asr"),
    ("ACD S", "acd_s"),
    ("PDD MS", "pdd_p50_ms"),
    ("PDD 95 % MS", "pdd_p95_ms"),
    ("MOS", "mos"),
    ("REGISTRATIONS", "registrations"),
    ("CPU %", "cpu_percent"),
    ("MEMORY", "memory_bytes"),
];
/// Shown where they are asked for.
const SELDOM: [&str; 3] = ["servers", "cps_peak", "memory_bytes"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_has_each_figure_and_a_gap_stays_one() {
        let answer =
            json!({ "at_us": [60, 120], "figures": { "asr": [50.0, null], "cps": [1, 2] } });
        let expected = [
            json!({ "at_us": 60, "asr": 50.0, "cps": 1 }),
            json!({ "at_us": 120, "asr": null, "cps": 2 }),
        ];
        assert_eq!(steps(&answer), expected);
    }
}
