//! Processor time and memory of a call at a media server, asked over `ng`.

use anyhow::Result;

use crate::peers::media_server::MediaServer;
use crate::peers::ng::NgClient;
use crate::peers::rtpengine::{self, Rtpengine};
use crate::scenario::{Effort, Side, us_per_unit};
use crate::table::{Row, Series, Table};
use crate::usage;

/// Offer and answer of calls that stay, one request after the other, then their end.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut rows: [[Series; 2]; 3] = Default::default();
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
        "offer and answer, CPU us",
        "delete, CPU us",
        "bytes per call",
    ];
    let rows = rows.into_iter().zip(works).map(|([peer, ours], work)| Row {
        work: format!("{work}, {calls} calls"),
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

fn measure(side: Side, calls: usize) -> Result<[f64; 3]> {
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

/// Processor time to set up and to end a call in microseconds, and its memory in bytes.
fn hold(client: &mut NgClient, pid: u32, calls: usize) -> Result<[f64; 3]> {
    // A few first, so that what a server sets up once is not counted.
    for number in 0..FIRST_CALLS {
        client.call(number, MEDIA_PORTS)?;
    }
    let memory = usage::memory_bytes(pid)?;
    let before = usage::cpu(pid);
    for number in FIRST_CALLS..FIRST_CALLS + calls {
        client.call(number, MEDIA_PORTS)?;
    }
    let set_up = us_per_unit(usage::cpu(pid).saturating_sub(before), calls as u64);
    let grown = usage::memory_bytes(pid)?.saturating_sub(memory);
    let before = usage::cpu(pid);
    for number in FIRST_CALLS..FIRST_CALLS + calls {
        client.delete(number)?;
    }
    let ended = us_per_unit(usage::cpu(pid).saturating_sub(before), calls as u64);
    Ok([set_up, ended, grown as f64 / calls as f64])
}

/// Each takes four of the ten thousand ports.
const CALLS_MAX: usize = 2_000;
const FIRST_CALLS: usize = 100;
const MEDIA_PORTS: (u16, u16) = (9, 11);
