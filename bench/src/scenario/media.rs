//! Processor time of a relayed packet, in user space: as it came, and encrypted anew.

use anyhow::{Context, Result};
use rtp::srtp::{MasterKey, Suite};

use crate::load::rtp::{End, Rate};
use crate::load::voice::{Alaw, Encrypted};
use crate::peers::ng::NgClient;
use crate::peers::rtpengine;
use crate::scenario::relay::{self, Relayed};
use crate::scenario::{Effort, Side};
use crate::table::{Row, Series, Table};

/// G.711 calls, both directions, 50 packets per second each, and then as fast as it goes.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    table(effort, "Media: relaying G.711 in user space", measure_plain)
}

/// The same with SRTP on both sides, each with a suite and keys of its own: a server has to
/// decrypt and to encrypt each packet.
pub(crate) fn run_srtp(effort: &Effort) -> Result<Table> {
    table(
        effort,
        "Media: SRTP on both sides, in user space",
        measure_encrypted,
    )
}

type Measure = fn(Side, Point, &Effort) -> Result<Relayed>;

#[derive(Clone, Copy)]
struct Point {
    calls: usize,
    rate: Rate,
}

fn table(effort: &Effort, title: &str, measure: Measure) -> Result<Table> {
    let effort = &effort.for_media();
    let telephone = |calls: &usize| Point {
        calls: *calls,
        rate: Rate::Telephone,
    };
    let mut points: Vec<Point> = effort.media_calls.iter().map(telephone).collect();
    let most = effort.media_calls.iter().copied().max().unwrap_or(1);
    points.push(Point {
        calls: most.min(FLAT_OUT_CALLS),
        rate: Rate::FlatOut,
    });
    let rows = points.into_iter().map(|point| row(point, effort, measure));
    Ok(Table {
        title: title.to_owned(),
        peer: format!("rtpengine {}", rtpengine::OPTIONS.join(" ")),
        rows: rows.collect::<Result<_>>()?,
    })
}

fn row(point: Point, effort: &Effort, measure: Measure) -> Result<Row> {
    let Point { calls, rate } = point;
    let mut cpu = [Series::default(), Series::default()];
    let mut lost = [0, 0];
    let mut speed = [Series::default(), Series::default()];
    let mut delay = [(0, 0), (0, 0)];
    for run in 0..effort.runs {
        for &side in effort.sides {
            let relayed = measure(side, point, effort)?;
            eprintln!(
                "media, {calls} calls, {rate:?}, run {}: {side:?} {relayed:?}",
                run + 1
            );
            cpu[side as usize].push(relayed.us_per_packet);
            speed[side as usize].push(relayed.packets_per_s);
            lost[side as usize] += relayed.lost;
            delay[side as usize] = delay[side as usize].max(relayed.delay_us);
        }
    }
    let [peer, ours] = cpu;
    let work = match rate {
        Rate::Telephone => format!("{calls} calls, {} packets/s", calls * 100),
        Rate::FlatOut => format!("{calls} calls, flat out"),
    };
    let mut remarks = format!("lost: peer {}, ours {}", lost[0], lost[1]);
    match rate {
        Rate::Telephone => {
            let [(p50, p99), (o50, o99)] = delay;
            if p99 > 0 || o99 > 0 {
                remarks += &format!("; delay p50/p99: peer {p50}/{p99} us, ours {o50}/{o99} us");
            }
        }
        Rate::FlatOut => {
            let [peer, ours] = speed.map(|series| series.median());
            remarks += &format!("; packets/s: peer {peer:.0}, ours {ours:.0}");
        }
    }
    Ok(Row {
        work: format!("packet relayed, {work}, CPU us"),
        peer,
        ours,
        remarks,
    })
}

fn measure_plain(side: Side, point: Point, effort: &Effort) -> Result<Relayed> {
    let Point { calls, rate } = point;
    let mut ssrc = 0;
    let voice = |_| {
        ssrc += 1;
        Alaw::new(ssrc)
    };
    match side {
        Side::Peer => relay::measure_rtpengine(calls, rate, effort, NgClient::call, voice),
        Side::Ours => relay::measure_platform(calls, rate, effort, None, voice),
    }
}

fn measure_encrypted(side: Side, point: Point, effort: &Effort) -> Result<Relayed> {
    let Point { calls, rate } = point;
    let keys = keys()?;
    let mut ssrc = 0;
    let voice = |end| {
        ssrc += 1;
        let key = match end {
            End::Caller => &keys[0],
            End::Callee => &keys[1],
        };
        Encrypted::new(Alaw::new(ssrc), key)
    };
    match side {
        Side::Peer => {
            let set_up = |client: &mut NgClient, number, media_ports| {
                client.encrypted_call(number, media_ports, &keys)
            };
            relay::measure_rtpengine(calls, rate, effort, set_up, voice)
        }
        Side::Ours => relay::measure_platform(calls, rate, effort, Some(keys), voice),
    }
}

/// Of callers and callees. The two suites cost the same.
fn keys() -> Result<[MasterKey; 2]> {
    let key = |suite: Suite, byte| MasterKey::new(suite, &vec![byte; suite.material_bytes()]);
    Ok([
        key(Suite::AesCm128HmacSha1_80, 1).context("a key for callers")?,
        key(Suite::AesCm128HmacSha1_32, 2).context("a key for callees")?,
    ])
}

const FLAT_OUT_CALLS: usize = 500;
