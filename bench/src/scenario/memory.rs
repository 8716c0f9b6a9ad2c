//! Memory of a binding and of an established call, after all transactions have run out.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Result, ensure};
use testkit::ports;

use crate::load::calls::{CallLoad, CallPlan, Pace};
use crate::load::register::{RegisterLoad, RegisterPlan};
use crate::peers::kamailio::{self, Kamailio, REGISTRAR_DOMAIN};
use crate::peers::tandem::{Media, Tandem};
use crate::scenario::{Effort, Side};
use crate::table::{Row, Series, Table};
use crate::usage;

/// Growth of the memory of all processes (Pss) while nothing else happens.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut bindings = [Series::default(), Series::default()];
    let mut calls = [Series::default(), Series::default()];
    for &side in effort.sides {
        let bytes = per_binding(side, effort)?;
        eprintln!("memory: {side:?} {bytes:.0} bytes per binding");
        bindings[side as usize].push(bytes);
        let bytes = per_call(side, effort)?;
        eprintln!("memory: {side:?} {bytes:.0} bytes per call");
        calls[side as usize].push(bytes);
    }
    let row = |work: String, [peer, ours]: [Series; 2]| Row {
        work,
        peer,
        ours,
        remarks: String::new(),
    };
    Ok(Table {
        title: format!(
            "Memory, {} s after the last request",
            effort.settle.as_secs()
        ),
        peer: format!(
            "Kamailio registrar and proxy as above, {}; its call is proxied, ours has two legs",
            kamailio::OPTIONS.join(" ")
        ),
        rows: vec![
            row(
                format!("bytes per binding, {} bindings", effort.users),
                bindings,
            ),
            row(
                format!("bytes per call, {} calls", effort.held_calls),
                calls,
            ),
        ],
    })
}

fn per_binding(side: Side, effort: &Effort) -> Result<f64> {
    let port = ports::one();
    let users = effort.users;
    let grow = |server, domain: &str, pid| -> Result<f64> {
        // What the start left behind is given back first: it would hide part of the growth.
        std::thread::sleep(effort.settle);
        let before = usage::memory_bytes(pid)?;
        let domain = domain.to_owned();
        let mut load = RegisterLoad::new(RegisterPlan {
            server,
            port,
            domain,
            phones: 0..users,
            phones_per_user: 1,
        })?;
        load.run_until(AT_ONCE, users as u64);
        load.drain();
        ensure!(
            load.counts.lost == 0,
            "not all are registered: {:?}",
            load.counts
        );
        std::thread::sleep(effort.settle);
        Ok(growth(before, usage::memory_bytes(pid)?) / users as f64)
    };
    match side {
        Side::Peer => {
            let kamailio = Kamailio::registrar(users)?;
            grow(kamailio.address, REGISTRAR_DOMAIN, kamailio.pid())
        }
        Side::Ours => {
            let mut tandem = Tandem::start()?;
            tandem.add_users(users)?;
            grow(tandem.address, tandem.domain(), tandem.pid())
        }
    }
}

fn per_call(side: Side, effort: &Effort) -> Result<f64> {
    let callee = SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports::one());
    match side {
        Side::Peer => {
            let kamailio = Kamailio::proxy(callee)?;
            let plan = CallPlan::new(kamailio.address, callee);
            hold(plan, kamailio.pid(), effort)
        }
        Side::Ours => {
            let tandem = Tandem::start()?;
            let plan = CallPlan::new(tandem.address, callee);
            tandem.route_calls(plan.caller, callee, Media::Bypass)?;
            hold(plan, tandem.pid(), effort)
        }
    }
}

fn hold(plan: CallPlan, pid: u32, effort: &Effort) -> Result<f64> {
    let calls = effort.held_calls;
    // A few first, so that what a server sets up once is not counted.
    let mut load = CallLoad::new(CallPlan { talk: None, ..plan })?;
    load.run_until_begun(
        Pace::Open {
            per_second: PER_SECOND,
        },
        FIRST_CALLS,
    );
    load.run_for(Pace::Stopped, effort.settle);
    let before = usage::memory_bytes(pid)?;
    load.run_until_begun(
        Pace::Open {
            per_second: PER_SECOND,
        },
        calls + FIRST_CALLS,
    );
    load.run_for(Pace::Stopped, effort.settle);
    let after = usage::memory_bytes(pid)?;
    ensure!(
        load.counts().lost == 0,
        "not all calls are up: {:?}",
        load.counts()
    );
    load.hang_up(PER_SECOND);
    Ok(growth(before, after) / calls as f64)
}

fn growth(before: u64, after: u64) -> f64 {
    after.saturating_sub(before) as f64
}

const AT_ONCE: usize = 100;
const PER_SECOND: u32 = 500;
const FIRST_CALLS: u64 = 100;
