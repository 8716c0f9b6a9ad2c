//! Processor time and memory of a call at a media server, asked over `ng`.

use std::ops::Range;
use std::thread;

use anyhow::{Result, bail};

use crate::peers::media_server::MediaServer;
use crate::peers::ng::NgClient;
use crate::peers::rtpengine::{self, Rtpengine};
use crate::scenario::{Effort, Side, us_per_unit};
use crate::table::{Row, Series, Table};
use crate::usage;

/// Offer and answer of calls that stay, then their end: half of them by one client that waits for
/// each answer, half by several of that kind at once, as the processes of a proxy are.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut rows: [[Series; 2]; 5] = Default::default();
    let calls = (effort.held_calls as usize).min(CALLS_MAX);
    for run in 0..effort.runs {
        for &side in effort.sides {
            let figures = measure(side, calls)?;
            eprintln!("ng, run {}: {side:?} {figures:?}", run + 1);
            for (row, figure) in rows.iter_mut().zip(figures) {
                row[side as usize].push(figure);
            }
        }
    }
    let works = [
        format!("offer and answer, {CLIENTS} clients at once, CPU us"),
        format!("delete, {CLIENTS} clients at once, CPU us"),
        "offer and answer, one client, CPU us".to_owned(),
        "delete, one client, CPU us".to_owned(),
        format!("bytes per call, {calls} calls"),
    ];
    let rows = rows.into_iter().zip(works).map(|([peer, ours], work)| Row {
        work,
        peer,
        ours,
        remarks: String::new(),
    });
    Ok(Table {
        title: "Media server: calls over ng".to_owned(),
        peer: format!("rtpengine {}", rtpengine::OPTIONS.join(" ")),
        rows: rows.collect(),
    })
}

fn measure(side: Side, calls: usize) -> Result<[f64; 5]> {
    match side {
        Side::Peer => {
            let mut rtpengine = Rtpengine::start()?;
            let pid = rtpengine.pid();
            hold(rtpengine.client(), pid, calls)
        }
        Side::Ours => {
            let mut server = MediaServer::start()?;
            let pid = server.pid();
            hold(server.client(), pid, calls)
        }
    }
}

/// Processor time to set up and to end a call in microseconds, by several clients and by one, and a
/// call's memory in bytes.
fn hold(client: &mut NgClient, pid: u32, calls: usize) -> Result<[f64; 5]> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(client.another()?);
    }
    let one = std::slice::from_mut(client);
    // A few first, so that what a server sets up once is not counted.
    each(one, 0..FIRST_CALLS, set_up)?;
    let middle = FIRST_CALLS + calls / 2;
    let (alone, at_once) = (FIRST_CALLS..middle, middle..FIRST_CALLS + calls);
    let memory = usage::memory_bytes(pid)?;
    let set_up_alone = spent(pid, one, alone.clone(), set_up)?;
    let set_up_at_once = spent(pid, &mut clients, at_once.clone(), set_up)?;
    let grown = usage::memory_bytes(pid)?.saturating_sub(memory);
    Ok([
        set_up_at_once,
        spent(pid, &mut clients, at_once, NgClient::delete)?,
        set_up_alone,
        spent(pid, one, alone, NgClient::delete)?,
        grown as f64 / calls as f64,
    ])
}

/// What is asked for one call.
type Ask = fn(&mut NgClient, usize) -> Result<()>;

fn set_up(client: &mut NgClient, number: usize) -> Result<()> {
    client.call(number, MEDIA_PORTS).map(drop)
}

/// Processor time of the server for each of the calls, in microseconds.
fn spent(pid: u32, clients: &mut [NgClient], calls: Range<usize>, ask: Ask) -> Result<f64> {
    let (before, count) = (usage::cpu(pid), calls.len());
    each(clients, calls, ask)?;
    let used = usage::cpu(pid).saturating_sub(before);
    Ok(us_per_unit(used, count as u64))
}

/// Shares calls among clients, each of which asks for one after the other.
fn each(clients: &mut [NgClient], calls: Range<usize>, ask: Ask) -> Result<()> {
    let step = clients.len();
    thread::scope(|scope| {
        let threads = clients.iter_mut().enumerate().map(|(first, client)| {
            let mut own = calls.clone().skip(first).step_by(step);
            scope.spawn(move || own.try_for_each(|number| ask(client, number)))
        });
        let threads: Vec<_> = threads.collect();
        let mut results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a client of the media server broke down"),
        });
        results.try_for_each(|result| result)
    })
}

/// Each takes four of the ten thousand ports.
const CALLS_MAX: usize = 2_000;
const FIRST_CALLS: usize = 100;
/// As a proxy has processes.
const CLIENTS: usize = 8;
const MEDIA_PORTS: (u16, u16) = (9, 11);
