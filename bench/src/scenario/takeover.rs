//! A switch is killed again and again under calls that came through a dispatcher: how long it takes
//! until another answers in them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use testkit::{
    Dialog, Dispatcher, GatewaySpec, Peer, Platform, PlatformOptions, PostgresServer, RedisServer,
    Sipp, session, wait_for, wait_for_within,
};

use crate::peers::SERVER_CPU;
use crate::scenario::Effort;
use crate::table::{Row, Series, Table};

/// From `kill -9` to the first in-dialog request that a survivor answers, and to that of the last
/// of the calls.
pub(crate) fn run(effort: &Effort) -> Result<Table> {
    let mut cluster = Cluster::start(effort.kills as u32 * CALLS)?;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for kill in 0..effort.kills {
        let answered = cluster.kill()?;
        eprintln!("takeover {kill:3}: {answered:?}");
        first.push(answered.first);
        last.push(answered.last);
    }
    let row = |work: &str, figures: &mut Vec<Duration>, share: f64| {
        figures.sort_unstable();
        let at = ((figures.len() as f64 * share).ceil() as usize).clamp(1, figures.len());
        let mut ours = Series::default();
        ours.push(figures[at - 1].as_secs_f64() * 1e3);
        Row {
            work: work.to_owned(),
            peer: Series::default(),
            ours,
            remarks: String::new(),
        }
    };
    Ok(Table {
        title: format!(
            "Takeover: {} times kill -9 of a switch with {CALLS} calls behind a dispatcher",
            effort.kills
        ),
        peer: "none. Each call's UPDATE is repeated every 50 ms from the kill on".to_owned(),
        rows: vec![
            row(
                "first call answered by the survivor, p50, ms",
                &mut first,
                0.5,
            ),
            row(
                "first call answered by the survivor, p99, ms",
                &mut first,
                0.99,
            ),
            row(
                "last call answered by the survivor, p50, ms",
                &mut last,
                0.5,
            ),
            row(
                "last call answered by the survivor, p99, ms",
                &mut last,
                0.99,
            ),
        ],
    })
}

/// After the kill.
#[derive(Clone, Copy, Debug)]
struct Answered {
    first: Duration,
    last: Duration,
}

/// Two switches; the dispatcher uses the second when the first is gone.
struct Cluster {
    switches: [Platform; 2],
    dispatcher: Dispatcher,
    caller: Peer,
    _callee: Sipp,
    redis: RedisServer,
    _postgres: PostgresServer,
}

impl Cluster {
    /// With a callee that takes so many calls.
    fn start(calls: u32) -> Result<Self> {
        let binary = std::env::current_exe().context("finding this program")?;
        let binary = binary.parent().unwrap_or(Path::new(".")).join("tandem");
        let (postgres, redis) = (PostgresServer::start()?, RedisServer::start()?);
        let switch = |key: Option<&[u8]>| {
            let options = PlatformOptions::new(&binary);
            let options = options.wrapper(&["taskset", "-c", SERVER_CPU]);
            let options = options.argument("--domain").argument(DOMAIN);
            let options = options.argument("--store").argument(&postgres.url());
            let options = options.argument("--live").argument(&redis.url());
            match key {
                Some(key) => options.data_file("cluster.key", key).start(),
                None => options.start(),
            }
        };
        let one = switch(None)?;
        let key = std::fs::read(one.data().join("cluster.key")).context("the cluster's key")?;
        let other = switch(Some(&key))?;
        let callee = Sipp::new("uas")?.calls(calls, 1, CALLS).start()?;
        let rest = one.rest();
        let settings = json!({ "dispatchers": ["127.0.0.1/32"], "media": "bypass" });
        rest.change("/v1/settings", &settings)?;
        rest.add_customer("127.0.0.1/32", &json!({}))?;
        rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
        let targets = [
            format!("--target=s0=udp:{}", one.ready().sip.udp),
            format!("--target=s1=udp:{},priority=1", other.ready().sip.udp),
        ];
        let arguments = [targets[0].as_str(), &targets[1], "--name", DOMAIN];
        let wrapper = ["taskset", "-c", SERVER_CPU];
        let dispatcher = Dispatcher::start_under(&wrapper, &binary, &arguments)?;
        Ok(Self {
            caller: Peer::new(dispatcher.sip().udp)?,
            switches: [one, other],
            dispatcher,
            _callee: callee,
            redis,
            _postgres: postgres,
        })
    }

    /// Sets calls up, kills their switch, asks in each until the survivor answers, ends them, and
    /// brings the switch back.
    fn kill(&mut self) -> Result<Answered> {
        self.wait_until_whole();
        let dialogs: Vec<Dialog> = (0..CALLS).map(|_| self.call()).collect::<Result<_>>()?;
        let known = |switch: &Platform| switch.rest().list("/v1/calls").map_or(0, |c| c.len());
        if known(&self.switches[0]) != CALLS as usize {
            bail!("the calls are not where they are to be killed");
        }
        // As long as a call is a few milliseconds old it may be lost.
        wait_for("others to know of all calls, answered as they are", || {
            let known = self.redis.ask(CALLS_KNOWN).ok()?;
            (known == format!(":{CALLS}")).then_some(())
        });
        let asked = dialogs.iter().map(|dialog| {
            let update = self.caller.within(dialog, "UPDATE", 3, &[], "");
            (dialog.call_id.clone(), update)
        });
        let asked: Vec<(String, String)> = asked.collect();
        self.switches[0].kill_9();
        let answered = self.ask_until_answered(asked)?;
        for dialog in &dialogs {
            let bye = self.caller.within(dialog, "BYE", 4, &[], "");
            self.caller.send(bye)?;
            self.caller.expect_status(200, "BYE");
        }
        self.switches[1].wait_until_idle();
        self.switches[0].restart()?;
        Ok(answered)
    }

    fn ask_until_answered(&self, asked: Vec<(String, String)>) -> Result<Answered> {
        let killed = Instant::now();
        let mut open = asked;
        let mut first = None;
        while !open.is_empty() {
            if killed.elapsed() > PATIENCE {
                bail!("{} calls are lost", open.len());
            }
            for (_, update) in &open {
                self.caller.send(update)?;
            }
            let _ = self.caller.stays_silent(INTERVAL, |message| {
                let is_answer = message.method() == "UPDATE" && message.status() == Some(200);
                if is_answer && let Some(call_id) = message.header("Call-ID") {
                    first.get_or_insert_with(|| killed.elapsed());
                    open.retain(|(open, _)| open != call_id);
                }
                open.is_empty()
            });
        }
        let last = killed.elapsed();
        Ok(Answered {
            first: first.unwrap_or(last),
            last,
        })
    }

    /// Until the first switch is a member and gets calls again.
    fn wait_until_whole(&self) {
        wait_for_within(
            Duration::from_secs(60),
            "the dispatcher to use both",
            || {
                let is_up = |name| self.dispatcher.target(name)["state"] == "up";
                (is_up("s0") && is_up("s1")).then_some(())
            },
        );
        wait_for("no call", || {
            let all = self.switches.iter().map(|s| s.rest().list("/v1/calls"));
            let mut all = all.map(|calls| calls.map_or(1, |calls| calls.len()));
            all.all(|count| count == 0).then_some(())
        });
    }

    fn call(&self) -> Result<Dialog> {
        let address: SocketAddr = self.caller.address();
        let uri = format!("sip:493012345@{DOMAIN}");
        let invite = self.caller.request("INVITE", &uri, &[], &session(address));
        self.caller.send(&invite)?;
        let answer = self.caller.expect_answer(&invite, 200);
        self.caller.send(self.caller.ack(&invite, &answer))?;
        Ok(Dialog::of_caller(&invite, &answer))
    }
}

/// How many calls Redis has, of all nodes, answered and acknowledged as they are: of no other is there a
/// message in the record, the INVITE of one that rings or the 2xx that is said until its ACK comes.
const CALLS_KNOWN: &str = "EVAL \"local n = 0 for _, o in ipairs(redis.call('SMEMBERS', 'tandem:call-owners')) do \
    for _, r in ipairs(redis.call('HVALS', 'tandem:calls:' .. o)) do \
    if not string.find(r, 'INVITE sip:', 1, true) and not string.find(r, 'SIP/2.0 2', 1, true) then n = n + 1 end end end return n\" 0";
const DOMAIN: &str = "calls.example";
/// Calls that are up when the switch dies.
const CALLS: u32 = 20;
/// Between two repetitions of a request.
const INTERVAL: Duration = Duration::from_millis(50);
/// After what time a call counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);
