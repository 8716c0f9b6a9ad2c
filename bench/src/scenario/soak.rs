//! 10,000 calls up at once and 1,000 new ones per second, for as long as is wanted.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::ports;

use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::peers::kamailio::{self, Kamailio};
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::{Effort, Side};
use crate::table::{Row, Table};
use crate::usage;

/// Losses, repetitions, the delay of the ringing, and the memory over time.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut seen = [Soaked::default(), Soaked::default()];
    for &side in effort.sides {
        let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
        seen[side as usize] = match side {
            Side::Peer => {
                let kamailio = Kamailio::proxy(callee)?;
                soak(
                    CallPlan::new(kamailio.address, callee),
                    kamailio.pid(),
                    effort,
                )?
            }
            Side::Ours => {
                let tandem = Tandem::start_traced(effort.trace)?;
                let plan = CallPlan::new(tandem.address, callee);
                tandem.route_calls(plan.caller, callee, Media::Bypass)?;
                soak(plan, tandem.pid(), effort)?
            }
        };
    }
    let [peer, ours] = &seen;
    let row = |work: &str, figure: fn(&Soaked) -> f64| Row::of(work, figure(peer), figure(ours));
    Ok(Table {
        title: format!(
            "Soak: {} s, 1,000 new calls/s of 10 s each, 10,000 at once",
            effort.soak.as_secs()
        ),
        peer: format!("Kamailio proxy as above, {}", kamailio::OPTIONS.join(" ")),
        rows: vec![
            row("calls completed", |seen| seen.completed),
            row("calls lost", |seen| seen.lost),
            row("messages sent again, by anybody", |seen| seen.repeated),
            row("INVITE to ringing, median, ms", |seen| seen.median_ms),
            row("INVITE to ringing, p99, ms", |seen| seen.p99_ms),
            row("the same with nobody between, p99, ms", |seen| {
                seen.floor_ms
            }),
            row("memory in the first minute, MB", |seen| {
                seen.memory_early_mb
            }),
            row("memory at the end, MB", |seen| seen.memory_late_mb),
        ],
    })
}

#[derive(Default)]
struct Soaked {
    completed: f64,
    lost: f64,
    repeated: f64,
    median_ms: f64,
    p99_ms: f64,
    floor_ms: f64,
    memory_early_mb: f64,
    memory_late_mb: f64,
}

fn soak(plan: CallPlan, pid: u32, effort: &Effort) -> Result<Soaked> {
    let before_ms = floor_ms(plan.callee, effort)?;
    let mut load = CallLoad::new(CallPlan {
        talk: Some(TALK),
        ..plan
    })?;
    let pace = Pace::Open {
        per_second: PER_SECOND,
    };
    let start = Instant::now();
    let mut samples = Vec::new();
    while start.elapsed() < effort.soak {
        let left = effort.soak.saturating_sub(start.elapsed());
        load.run_for(pace, SAMPLE_EVERY.min(left));
        let memory_mb = usage::memory_bytes(pid)? as f64 / 1e6;
        eprintln!(
            "soak {:4} s: {} up, {memory_mb:.1} MB, {:?}",
            start.elapsed().as_secs(),
            load.in_progress(),
            load.counts()
        );
        samples.push((start.elapsed(), memory_mb));
    }
    load.run_for(Pace::Stopped, TALK);
    load.drain();
    let counts = load.counts();
    let (median, p99) = (load.set_up.quantile(0.5), load.set_up.quantile(0.99));
    drop(load);
    let after_ms = floor_ms(plan.callee, effort)?;
    // By a minute every timer of the first calls has run out.
    let early = samples.iter().rev().find(|(time, _)| *time <= FIRST_MINUTE);
    Ok(Soaked {
        completed: counts.completed as f64,
        lost: counts.lost as f64,
        repeated: counts.repeated() as f64,
        median_ms: median.as_secs_f64() * 1e3,
        p99_ms: p99.as_secs_f64() * 1e3,
        floor_ms: f64::midpoint(before_ms, after_ms),
        memory_early_mb: early.map_or(0.0, |&(_, memory)| memory),
        memory_late_mb: samples.last().map_or(0.0, |&(_, memory)| memory),
    })
}

/// What the generator and the machine take by themselves: the same calls, straight from caller to
/// callee. The server waits meanwhile.
fn floor_ms(callee: SocketAddrV4, effort: &Effort) -> Result<f64> {
    let mut load = CallLoad::new(CallPlan {
        talk: Some(TALK),
        ..CallPlan::new(callee, callee)
    })?;
    let pace = Pace::Open {
        per_second: PER_SECOND,
    };
    load.run_for(pace, FLOOR.min(effort.soak));
    load.run_for(Pace::Stopped, TALK);
    load.drain();
    Ok(load.set_up.quantile(0.99).as_secs_f64() * 1e3)
}

const PER_SECOND: u32 = 1_000;
const TALK: Duration = Duration::from_secs(10);
/// Before and after.
const FLOOR: Duration = Duration::from_secs(30);
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
const FIRST_MINUTE: Duration = Duration::from_secs(65);
