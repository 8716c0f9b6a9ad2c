//! Processor time of a packet that is transcoded between G.711 and Opus.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use anyhow::Result;
use audio::Codec;
use testkit::ports;

use crate::load::batch;
use crate::load::rtp::{End, Rate, RtpLoad};
use crate::load::speech::{OPUS, Speech, speech};
use crate::peers::media_server::MediaServer;
use crate::peers::ng::NgClient;
use crate::peers::rtpengine::{self, Rtpengine};
use crate::scenario::relay::{self, Relayed};
use crate::scenario::{Effort, Side};
use crate::table::{Row, Series, Table};
use crate::usage;

/// Calls whose caller speaks A-law and whose callee speaks Opus, 50 packets per second each. Both
/// programs are asked the same by `ng`, and code as they do when nothing else is asked.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut calls: Vec<usize> = effort.media_calls.iter().map(|c| *c.min(&FIRST)).collect();
    calls.truncate(1);
    if effort.media_calls.len() > 1 {
        calls.push(SECOND);
    }
    let rows = calls.into_iter().map(|calls| row(calls, effort));
    Ok(Table {
        title: "Media: transcoding G.711 and Opus".to_owned(),
        peer: format!("rtpengine {}, {FLAGS}", rtpengine::OPTIONS.join(" ")),
        rows: rows.collect::<Result<_>>()?,
    })
}

fn row(calls: usize, effort: &Effort) -> Result<Row> {
    let mut cpu = [Series::default(), Series::default()];
    let mut lost = [0, 0];
    for run in 0..effort.runs {
        for &side in effort.sides {
            let relayed = measure(side, calls, effort)?;
            eprintln!(
                "transcode, {calls} calls, run {}: {side:?} {relayed:?}",
                run + 1
            );
            cpu[side as usize].push(relayed.us_per_packet);
            lost[side as usize] += relayed.lost;
        }
    }
    let [peer, ours] = cpu;
    Ok(Row {
        work: format!(
            "packet transcoded, {calls} calls, {} packets/s, CPU us",
            calls * 100
        ),
        peer,
        ours,
        // Each program sends at its own pace: one that is not behind sends as many as came.
        remarks: format!("fewer than sent: peer {}, ours {}", lost[0], lost[1]),
    })
}

fn measure(side: Side, calls: usize, effort: &Effort) -> Result<Relayed> {
    match side {
        Side::Peer => {
            let mut rtpengine = Rtpengine::start()?;
            let pid = rtpengine.pid();
            through(rtpengine.client(), pid, calls, effort)
        }
        Side::Ours => {
            let mut server = MediaServer::start()?;
            let pid = server.pid();
            through(server.client(), pid, calls, effort)
        }
    }
}

fn through(client: &mut NgClient, pid: u32, calls: usize, effort: &Effort) -> Result<Relayed> {
    let ports = (ports::one(), ports::one());
    let offer = session(ports.0, "8\r\na=rtpmap:8 PCMA/8000");
    let answer = session(ports.1, &format!("{OPUS}\r\na=rtpmap:{OPUS} opus/48000/2"));
    let relays =
        (0..calls).map(|number| client.call_between(number, &offer, &answer, &[("flags", FLAGS)]));
    let relays: Vec<(u16, u16)> = relays.collect::<Result<_>>()?;
    let load = load(ports, &relays)?;
    relay::measure(load, Rate::Telephone, effort, || usage::cpu(pid))
}

fn load(ports: (u16, u16), relays: &[(u16, u16)]) -> Result<RtpLoad<Speech>> {
    let socket = |port| batch::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    let sockets = [socket(ports.0)?, socket(ports.1)?];
    let relay = |port: u16| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let callers: Vec<_> = relays.iter().map(|(caller, _)| relay(*caller)).collect();
    let callees: Vec<_> = relays.iter().map(|(_, callee)| relay(*callee)).collect();
    let alaw = Arc::new(speech(Codec::Pcma)?);
    let opus = Arc::new(speech(Codec::Opus)?);
    let mut ssrc = 0;
    Ok(RtpLoad::new(sockets, [&callers, &callees], |end, _| {
        ssrc += 1;
        match end {
            End::Caller => Speech::new(Codec::Pcma, Arc::clone(&alaw), ssrc),
            End::Callee => Speech::new(Codec::Opus, Arc::clone(&opus), ssrc),
        }
    }))
}

fn session(port: u16, formats: &str) -> String {
    let ip = Ipv4Addr::LOCALHOST;
    format!(
        "v=0\r\no=bench 1 1 IN IP4 {ip}\r\ns=call\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

const FLAGS: &str = "codec-mask-PCMA codec-transcode-opus";
/// How many calls, point by point: rtpengine fills a processor with some hundred.
const FIRST: usize = 20;
const SECOND: usize = 50;
