//! Measures Tandem beside the field's own programs: same machine, same generator, in turn.
//!
//! The server runs on one processor, the generator on another. What counts is the processor
//! time of the server's processes per unit of work: it survives a noisy machine, where rates
//! do not. No timing here is a test.

mod load;
mod peers;
mod scenario;
mod table;
mod usage;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use scenario::{Effort, Family, Side, Trace};
use table::Table;

/// Measures Tandem beside Kamailio and rtpengine.
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything but cluster-call, control, kernel, locations, rate, soak and takeover if nothing is said.
    scenarios: Vec<Scenario>,
    /// Runs of each side.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// One short run with few users: shows that all works, measures nothing.
    #[arg(long)]
    quick: bool,
    /// One side only.
    #[arg(long)]
    only: Option<Only>,
    /// What the calls of the kernel scenario are between.
    #[arg(long, value_enum, default_value_t = Family::Ipv4)]
    family: Family,
    /// Users that register, and bindings held.
    #[arg(long, default_value_t = 100_000)]
    users: usize,
    /// Registrations that the nodes of the locations scenario share.
    #[arg(long, default_value_t = 100_000)]
    bindings: usize,
    /// How long the soak lasts, in seconds.
    #[arg(long, default_value_t = 600)]
    soak_s: u64,
    /// New calls per second of the rate scenario.
    #[arg(long, default_value_t = 5_000)]
    rate: u32,
    /// How long the rate scenario lasts, in seconds.
    #[arg(long, default_value_t = 60)]
    rate_s: u64,
    /// What our side keeps of SIP messages in the scenarios call, register and soak; the peers keep
    /// none.
    #[arg(long, value_enum, default_value_t = Trace::Off)]
    trace: Trace,
    /// How often the takeover kills a switch; each takes some seconds.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// CDRs of the control scenario; ten millions take some minutes to make, and 10 GB.
    #[arg(long, default_value_t = 10_000_000)]
    cdrs: u64,
    /// Servers of the control scenario.
    #[arg(long, default_value_t = 200)]
    servers: usize,
    /// Write the tables into bench/RESULTS.md too.
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    Call,
    ClusterCall,
    Control,
    Dispatcher,
    Rate,
    Register,
    Memory,
    Locations,
    Soak,
    Takeover,
    Media,
    Srtp,
    Transcode,
    Ng,
    Kernel,
}

#[derive(Clone, Copy, ValueEnum)]
enum Only {
    Peer,
    Ours,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, address, kernel] = arguments.as_slice()
        && mode == peers::engine::MODE
    {
        return peers::engine::serve(address, kernel);
    }
    let arguments = Arguments::parse();
    let effort = effort(&arguments);
    let mut scenarios = arguments.scenarios.clone();
    if scenarios.is_empty() {
        scenarios = vec![
            Scenario::Call,
            Scenario::Dispatcher,
            Scenario::Register,
            Scenario::Memory,
            Scenario::Media,
            Scenario::Srtp,
            Scenario::Transcode,
            Scenario::Ng,
        ];
    }
    usage::pin(peers::GENERATOR_CPU)?;
    let mut tables = Vec::new();
    for scenario in scenarios {
        let table = run(scenario, &effort)?;
        println!("{table}");
        tables.push(table);
    }
    if arguments.write {
        write(&tables)?;
    }
    Ok(())
}

fn run(scenario: Scenario, effort: &Effort) -> Result<Table> {
    match scenario {
        Scenario::Call => scenario::call::run(effort),
        Scenario::ClusterCall => scenario::cluster_call::run(effort),
        Scenario::Control => scenario::control::run(effort),
        Scenario::Dispatcher => scenario::call::run_dispatcher(effort),
        Scenario::Rate => scenario::rate::run(effort),
        Scenario::Register => scenario::register::run(effort),
        Scenario::Memory => scenario::memory::run(effort),
        Scenario::Locations => scenario::locations::run(effort),
        Scenario::Soak => scenario::soak::run(effort),
        Scenario::Takeover => scenario::takeover::run(effort),
        Scenario::Media => scenario::media::run(effort),
        Scenario::Srtp => scenario::media::run_srtp(effort),
        Scenario::Transcode => scenario::transcode::run(effort),
        Scenario::Ng => scenario::ng::run(effort),
        Scenario::Kernel => scenario::kernel::run(effort),
    }
}

fn effort(arguments: &Arguments) -> Effort {
    let sides: &[Side] = match arguments.only {
        None => &[Side::Peer, Side::Ours],
        Some(Only::Peer) => &[Side::Peer],
        Some(Only::Ours) => &[Side::Ours],
    };
    if arguments.quick {
        return Effort {
            runs: 1,
            warm_up: Duration::from_millis(200),
            window: Duration::from_secs(1),
            sides,
            users: 1_000,
            bindings: 3_000,
            held_calls: 200,
            media_calls: &[20],
            kernel_calls: 50,
            family: arguments.family,
            soak: Duration::from_secs(5),
            rate: 500,
            rate_time: Duration::from_secs(2),
            trace: arguments.trace,
            kills: 3,
            cdrs: 50_000,
            servers: 5,
            settle: Duration::from_secs(1),
        };
    }
    Effort {
        runs: arguments.runs,
        warm_up: Duration::from_secs(2),
        window: Duration::from_secs(5),
        sides,
        users: arguments.users,
        bindings: arguments.bindings,
        held_calls: 10_000,
        media_calls: &[100, 200, 500, 800],
        kernel_calls: 10_000,
        family: arguments.family,
        soak: Duration::from_secs(arguments.soak_s),
        rate: arguments.rate,
        rate_time: Duration::from_secs(arguments.rate_s),
        trace: arguments.trace,
        kills: arguments.kills,
        cdrs: arguments.cdrs,
        servers: arguments.servers,
        settle: Duration::from_secs(40),
    }
}

fn write(tables: &[Table]) -> Result<()> {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let processor = processor
        .unwrap_or_default()
        .trim_start_matches(['\t', ' ', ':']);
    let mut text = format!(
        "# Results of `make bench`\n\nProcessor: {processor}. Medians and ranges; compare \
         ratios, not figures of different machines.\n"
    );
    for table in tables {
        write!(text, "\n{table}").context("writing to memory")?;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}
