//! Processor time of a whole call, without media: through a switch, and through a dispatcher.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use testkit::ports;

use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::load::latency::Latencies;
use crate::peers::dispatcher::Dispatcher;
use crate::peers::kamailio::{self, Kamailio};
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::{Effort, Side, us_per_unit};
use crate::table::{Row, Series, Table};
use crate::usage;

/// What stands between caller and callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    /// A switch of ours; a proxy that keeps state.
    Switch,
    /// A dispatcher of ours; a proxy that keeps none.
    Dispatcher,
}

/// Through a switch: calls at saturation of one core, and at 1,000 per second.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    run_through(Middle::Switch, effort)
}

/// The same through a dispatcher.
pub(crate) fn run_dispatcher(effort: &Effort) -> Result<Table> {
    run_through(Middle::Dispatcher, effort)
}

fn run_through(middle: Middle, effort: &Effort) -> Result<Table> {
    let paces = [
        (
            "whole call, one core saturated, CPU us",
            Pace::Closed {
                at_once: SATURATING,
            },
        ),
        (
            "whole call, 1,000/s, CPU us",
            Pace::Open { per_second: 1_000 },
        ),
    ];
    let mut rows = Vec::new();
    for (work, pace) in paces {
        let mut measured = [Measured::default(), Measured::default()];
        for run in 0..effort.runs {
            for &side in effort.sides {
                let result = &mut measured[side as usize];
                measure(middle, side, pace, effort, result)?;
                eprintln!("{middle:?} {pace:?} run {}: {side:?} {result:?}", run + 1);
            }
        }
        let [peer, ours] = measured;
        let remarks = format!(
            "peer: {}; ours, trace {}: {}",
            peer.remarks(),
            effort.trace.name(),
            ours.remarks()
        );
        rows.push(Row {
            work: work.to_owned(),
            peer: peer.cpu,
            ours: ours.cpu,
            remarks,
        });
    }
    let (title, peer) = match middle {
        Middle::Switch => (
            "Calls",
            "proxy with tm and dialog profiles (bench/peers/proxy.cfg)",
        ),
        Middle::Dispatcher => (
            "Calls through a dispatcher",
            "stateless dispatcher (bench/peers/dispatcher.cfg)",
        ),
    };
    Ok(Table {
        title: format!("{title}: INVITE-100-180-200-ACK-BYE-200, answered after 20 ms"),
        peer: format!("Kamailio {peer}, {}", kamailio::OPTIONS.join(" ")),
        rows,
    })
}

/// What the runs of one side gave.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) cpu: Series,
    rate: Series,
    /// Of the time from the INVITE to the ringing.
    pub(super) p99_ms: Series,
    lost: u64,
    repeated: u64,
    last_refusal: String,
}

impl Measured {
    pub(super) fn remarks(&self) -> String {
        let mut text = format!(
            "{:.0}/s, set-up p99 {:.2} ms, lost {}, repeated {}",
            self.rate.median(),
            self.p99_ms.median(),
            self.lost,
            self.repeated
        );
        if !self.last_refusal.is_empty() {
            text.push_str(&format!(", last refusal {}", self.last_refusal));
        }
        text
    }
}

fn measure(
    middle: Middle,
    side: Side,
    pace: Pace,
    effort: &Effort,
    result: &mut Measured,
) -> Result<()> {
    let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
    match (middle, side) {
        (Middle::Dispatcher, Side::Peer) => {
            let kamailio = Kamailio::dispatcher(&[callee])?;
            let plan = CallPlan::new(kamailio.address, callee);
            load(plan, &[kamailio.pid()], pace, effort, result).map(drop)
        }
        (Middle::Dispatcher, Side::Ours) => {
            let dispatcher = Dispatcher::start(&[callee])?;
            let plan = CallPlan::new(dispatcher.address, callee);
            load(plan, &[dispatcher.pid()], pace, effort, result).map(drop)
        }
        (Middle::Switch, Side::Peer) => {
            let kamailio = Kamailio::proxy(callee)?;
            let plan = CallPlan::new(kamailio.address, callee);
            load(plan, &[kamailio.pid()], pace, effort, result).map(drop)
        }
        (Middle::Switch, Side::Ours) => {
            let tandem = Tandem::start_traced(effort.trace)?;
            let plan = CallPlan::new(tandem.address, callee);
            tandem.route_calls(plan.caller, callee, Media::Bypass)?;
            load(plan, &[tandem.pid()], pace, effort, result).map(drop)
        }
    }
}

/// Loads servers, whose processor time counts together; how many calls that were.
pub(super) fn load(
    plan: CallPlan,
    pids: &[u32],
    pace: Pace,
    effort: &Effort,
    result: &mut Measured,
) -> Result<u64> {
    load_more(CallLoad::new(plan)?, pids, pace, effort, result)
}

/// The same with a load that has had calls before, which count for nothing; how many came after.
pub(super) fn load_more(
    mut load: CallLoad,
    pids: &[u32],
    pace: Pace,
    effort: &Effort,
    result: &mut Measured,
) -> Result<u64> {
    let earlier = load.counts();
    load.set_up = Latencies::new();
    let used = || pids.iter().map(|pid| usage::cpu(*pid)).sum::<Duration>();
    load.run_for(pace, effort.warm_up);
    let before = (used(), load.counts().completed, std::time::Instant::now());
    load.run_for(pace, effort.window);
    let cpu = used().saturating_sub(before.0);
    let units = load.counts().completed - before.1;
    let seconds = before.2.elapsed().as_secs_f64();
    load.drain();
    let counts = load.counts();
    result.cpu.push(us_per_unit(cpu, units));
    result.rate.push(units as f64 / seconds);
    result
        .p99_ms
        .push(load.set_up.quantile(0.99).as_secs_f64() * 1e3);
    result.lost += counts.lost - earlier.lost;
    result.repeated += counts.repeated() - earlier.repeated();
    if counts.lost > earlier.lost {
        result.last_refusal = counts.last_refusal;
    }
    Ok(counts.completed - earlier.completed)
}

/// Calls in progress that keep a server busy all the time: at 20 ms of ringing and 10,000
/// calls per second 200 are ringing, and as many wait in its queue.
pub(super) const SATURATING: usize = 400;
