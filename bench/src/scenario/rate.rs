//! A dispatcher in front of several targets at a steady rate: losses, shares, and what it adds to
//! the set-up of a call.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Result;
use testkit::ports;

use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::peers::dispatcher::Dispatcher;
use crate::peers::kamailio::{self, Kamailio};
use crate::scenario::{Effort, Side, us_per_unit};
use crate::table::{Row, Table};
use crate::usage;

/// The same calls through the dispatcher, and straight to the targets.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut seen = [Seen::default(), Seen::default()];
    for &side in effort.sides {
        let callees = [0; TARGETS].map(|_| SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one()));
        seen[side as usize] = match side {
            Side::Peer => {
                let kamailio = Kamailio::dispatcher(&callees)?;
                through(kamailio.address, kamailio.pid(), &callees, effort)?
            }
            Side::Ours => {
                let dispatcher = Dispatcher::start(&callees)?;
                through(dispatcher.address, dispatcher.pid(), &callees, effort)?
            }
        };
        eprintln!("{side:?}: {:?}", seen[side as usize]);
    }
    let [peer, ours] = &seen;
    let row = |work: &str, figure: fn(&Seen) -> f64| Row::of(work, figure(peer), figure(ours));
    Ok(Table {
        title: format!(
            "A dispatcher and {TARGETS} targets: {} new calls/s for {} s",
            effort.rate,
            effort.rate_time.as_secs()
        ),
        peer: format!(
            "Kamailio stateless dispatcher, round robin, {}",
            kamailio::OPTIONS.join(" ")
        ),
        rows: vec![
            row("calls completed", |seen| seen.completed),
            row("calls lost", |seen| seen.lost),
            row("messages sent again, by anybody", |seen| seen.repeated),
            row("farthest share from its due, %", |seen| seen.off_percent),
            row("INVITE to ringing, median, ms", |seen| seen.median_ms),
            row("INVITE to ringing, p99, ms", |seen| seen.p99_ms),
            row("the same straight, p99, ms", |seen| seen.straight_p99_ms),
            row("whole call, CPU us", |seen| seen.cpu_us),
        ],
    })
}

#[derive(Debug, Default)]
struct Seen {
    completed: f64,
    lost: f64,
    repeated: f64,
    off_percent: f64,
    median_ms: f64,
    p99_ms: f64,
    straight_p99_ms: f64,
    cpu_us: f64,
}

fn through(
    server: SocketAddrV4,
    pid: u32,
    callees: &[SocketAddrV4],
    effort: &Effort,
) -> Result<Seen> {
    let pace = Pace::Open {
        per_second: effort.rate,
    };
    let straight_p99_ms = {
        let plan = CallPlan::new(callees[0], callees[0]);
        let mut load = CallLoad::with_callees(plan, callees)?;
        load.run_for(pace, effort.window);
        load.drain();
        load.set_up.quantile(0.99).as_secs_f64() * 1e3
    };
    let mut load = CallLoad::with_callees(CallPlan::new(server, callees[0]), callees)?;
    let before = usage::cpu(pid);
    load.run_for(pace, effort.rate_time);
    load.drain();
    let cpu = usage::cpu(pid).saturating_sub(before);
    let counts = load.counts();
    let shares = load.shares();
    let due = shares.iter().sum::<u64>() as f64 / shares.len() as f64;
    let off = |share: &u64| (*share as f64 - due).abs() / due * 100.0;
    let repeated = counts.repeated();
    Ok(Seen {
        completed: counts.completed as f64,
        lost: counts.lost as f64,
        repeated: repeated as f64,
        off_percent: shares.iter().map(off).fold(0.0, f64::max),
        median_ms: load.set_up.quantile(0.5).as_secs_f64() * 1e3,
        p99_ms: load.set_up.quantile(0.99).as_secs_f64() * 1e3,
        straight_p99_ms,
        cpu_us: us_per_unit(cpu, counts.completed),
    })
}

const TARGETS: usize = 4;
