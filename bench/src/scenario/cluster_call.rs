//! A whole call through a dispatcher and a switch of a cluster, which has permits and calls in Redis,
//! beside a proxy that keeps state for itself alone; and what a slow Redis costs.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use testkit::{FaultProxy, Line, RedisServer, ports, wait_for};

use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::peers::dispatcher::Dispatcher;
use crate::peers::kamailio::{self, Kamailio};
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::call::{Measured, SATURATING, load, load_more};
use crate::scenario::{Effort, Side};
use crate::table::{Row, Series, Table};

/// Calls at saturation of one core and at 1,000 per second; the latter also while Redis is slow.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let steady = Pace::Open { per_second: 1_000 };
    let saturating = Pace::Closed {
        at_once: SATURATING,
    };
    let (mut closed, mut open) = (Sides::default(), Sides::default());
    let (mut slowed, mut operations) = (Measured::default(), Series::default());
    for run in 0..effort.runs {
        for &side in effort.sides {
            match side {
                Side::Peer => {
                    measure_peer(saturating, effort, &mut closed.peer)?;
                    measure_peer(steady, effort, &mut open.peer)?;
                }
                Side::Ours => {
                    let nothing = Duration::ZERO;
                    measure_ours(saturating, nothing, effort, &mut closed.ours)?;
                    let per_call = measure_ours(steady, nothing, effort, &mut open.ours)?;
                    operations.push(per_call);
                    measure_ours(steady, SLOWED_BY, effort, &mut slowed)?;
                }
            }
            eprintln!("cluster call, run {}: {side:?} done", run + 1);
        }
    }
    let p99 = |measured: &Measured| measured.p99_ms.clone();
    let slow_ms = SLOWED_BY.as_millis();
    let rows = vec![
        closed.row("whole call, one core saturated, CPU us"),
        open.row("whole call, 1,000/s, CPU us"),
        Row {
            work: "post-dial delay at 1,000/s, p99, ms".to_owned(),
            peer: p99(&open.peer),
            ours: p99(&open.ours),
            remarks: String::new(),
        },
        Row {
            work: format!("the same with Redis {slow_ms} ms away, p99, ms"),
            peer: Series::default(),
            ours: p99(&slowed),
            remarks: format!("ours: {}", slowed.remarks()),
        },
        Row {
            work: "Redis commands per call, at 1,000/s".to_owned(),
            peer: Series::default(),
            ours: operations,
            remarks: "without those of a node that has no calls".to_owned(),
        },
    ];
    Ok(Table {
        title:
            "Calls of a cluster: through a dispatcher and a switch with permits and calls in Redis"
                .to_owned(),
        peer: format!(
            "Kamailio proxy with tm and dialog profiles (bench/peers/proxy.cfg), {}. Ours is dispatcher \
             and switch together, without Redis",
            kamailio::OPTIONS.join(" ")
        ),
        rows,
    })
}

/// What the runs of both sides gave.
#[derive(Debug, Default)]
struct Sides {
    peer: Measured,
    ours: Measured,
}

impl Sides {
    fn row(&self, work: &str) -> Row {
        Row {
            work: work.to_owned(),
            peer: self.peer.cpu.clone(),
            ours: self.ours.cpu.clone(),
            remarks: format!(
                "peer: {}; ours: {}",
                self.peer.remarks(),
                self.ours.remarks()
            ),
        }
    }
}

fn callee() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one())
}

fn measure_peer(pace: Pace, effort: &Effort, result: &mut Measured) -> Result<()> {
    let callee = callee();
    let kamailio = Kamailio::proxy(callee)?;
    let plan = CallPlan::new(kamailio.address, callee);
    load(plan, &[kamailio.pid()], pace, effort, result).map(drop)
}

/// With Redis so far away; Redis commands per call.
fn measure_ours(pace: Pace, away: Duration, effort: &Effort, result: &mut Measured) -> Result<f64> {
    let callee = callee();
    let redis = RedisServer::start()?;
    let line = FaultProxy::to(redis.address())?;
    // A line costs the generator time, which it has to spare only where it is slow.
    let live = match away.is_zero() {
        true => redis.url(),
        false => format!("redis://{}", line.address()),
    };
    let switch = Tandem::start_behind_dispatchers(&live)?;
    let dispatcher = Dispatcher::start(&[switch.address])?;
    let plan = CallPlan::new(dispatcher.address, callee);
    // They never refuse, and each call takes permits of both.
    let limits = json!({ "channels": 1_000_000, "cps": 1_000_000 });
    switch.route_limited_calls(plan.caller, callee, Media::Bypass, &limits)?;
    wait_for("shares of the limits", || {
        let granted = redis.ask("KEYS tandem:permits:*").ok()?;
        (granted != "*0").then_some(())
    });
    // A live store that is empty grants nothing before all nodes have had time to say what they hold,
    // and shares grow with what is asked for: until then calls are refused.
    let mut calls = CallLoad::new(plan)?;
    calls.run_for(Pace::Open { per_second: 100 }, FIRST_CALLS);
    calls.drain();
    let (idle, idle_since) = (commands(&redis)?, Instant::now());
    calls.run_for(Pace::Stopped, IDLE);
    let idle_per_s = (commands(&redis)? - idle) as f64 / idle_since.elapsed().as_secs_f64();
    if !away.is_zero() {
        line.set(Line::Slow(away / 2));
    }
    let (before, since) = (commands(&redis)?, Instant::now());
    let pids = [dispatcher.pid(), switch.pid()];
    let calls = load_more(calls, &pids, pace, effort, result)?;
    let beside = idle_per_s * since.elapsed().as_secs_f64();
    let used = (commands(&redis)? - before) as f64 - beside;
    Ok(used.max(0.0) / calls.max(1) as f64)
}

fn commands(redis: &RedisServer) -> Result<u64> {
    let all = redis.commands()?;
    let of_nodes = all.iter().filter(|(name, _)| *name != "info");
    Ok(of_nodes.map(|(_, count)| count).sum())
}

/// A question to Redis and its answer together.
const SLOWED_BY: Duration = Duration::from_millis(50);
/// How long there are some calls before any are counted.
const FIRST_CALLS: Duration = Duration::from_secs(6);
/// How long a node without calls is watched.
const IDLE: Duration = Duration::from_secs(1);
