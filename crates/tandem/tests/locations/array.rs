//! Servers that are no cluster and have no store in common, and share their registrations.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    Baresip, FaultProxy, Line, Peer, PhoneOptions, PhoneTransport, Platform, PlatformOptions,
    ports, wait_for,
};

use crate::cluster::{ALICE_HZ, BOB_HZ, contact_uri, elsewhere, metric, sent_by};

/// Servers with the same users and the same key.
struct Array {
    servers: Vec<Platform>,
    /// The line over which each listens to the one after it, the last to the first.
    lines: Vec<FaultProxy>,
}

/// Whether they share.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    On,
    Off,
}

impl Array {
    /// Two that have heard each other.
    fn start() -> Result<Self> {
        let array = Self::with(Sharing::On)?;
        array.wait_until_heard();
        Ok(array)
    }

    fn with(sharing: Sharing) -> Result<Self> {
        let places = [ports::one(), ports::one()];
        let lines =
            [places[1], places[0]].map(|port| FaultProxy::to(([127, 0, 0, 1], port).into()));
        let lines = lines.into_iter().collect::<Result<Vec<_>>>()?;
        let mut servers = Vec::<Platform>::new();
        for (port, line) in places.iter().zip(&lines) {
            let mut options = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"))
                .argument("--domain")
                .argument("array.example");
            if sharing == Sharing::On {
                for flag in ["--array-port", &port.to_string()] {
                    options = options.argument(flag);
                }
                for flag in ["--array-peer", &line.address().to_string()] {
                    options = options.argument(flag);
                }
            }
            if let Some(first) = servers.first() {
                let key = std::fs::read(first.data().join("cluster.key"))?;
                options = options.data_file("cluster.key", &key);
            }
            let server = options.start()?;
            let settings = json!({
                "verify_bindings": false, "keep_alive_interval_s": 0, "contacts_max": 2
            });
            server.rest().change("/v1/settings", &settings)?;
            servers.push(server);
        }
        Ok(Self { servers, lines })
    }

    fn wait_until_heard(&self) {
        wait_for("all to be known everywhere", || {
            let mut all = self.servers.iter();
            let knows_all = |server: &Platform| metric(server, "tandem_locations_complete");
            all.all(|server| knows_all(server) == Some(1.0))
                .then_some(())
        });
    }

    fn set_lines(&self, line: Line) {
        self.lines.iter().for_each(|each| each.set(line));
    }

    fn wait_for_elsewhere(&self, server: usize, count: f64) {
        wait_for(&format!("{count} at other servers"), || {
            (elsewhere(&self.servers[server]) == Some(count)).then_some(())
        });
    }

    /// A softphone at a server.
    fn phone(
        &self,
        server: usize,
        name: &str,
        transport: PhoneTransport,
        hz: u32,
    ) -> Result<Baresip> {
        let ready = self.servers[server].ready();
        let address = match transport {
            PhoneTransport::Udp => ready.sip.udp,
            PhoneTransport::Tcp => ready.sip.tcp,
            PhoneTransport::Tls => ready.sip.tls,
        };
        Baresip::register(
            PhoneOptions::new(name, &ready.domain)
                .password(&ready.credentials(name).password)
                .server(address, transport)
                .tone_hz(hz),
        )
    }

    /// A phone of Bob's on UDP asks a server to register it for so long; what it answers.
    fn register(&self, phone: &Peer, server: usize, expires_s: u32) -> Result<u16> {
        let ready = self.servers[server].ready();
        let to = format!("To: <sip:bob@{}>", ready.domain);
        let contact = format!("Contact: <{}>;expires={expires_s}", contact_uri(phone));
        let uri = format!("sip:{}", ready.domain);
        let who = ready.credentials("bob");
        phone.send_with_digest(&who, "REGISTER", &uri, &[&to, &contact], "")?;
        let answer = phone.expect("an answer", |m| {
            m.method() == "REGISTER" && m.status().is_some_and(|s| s >= 200)
        });
        Ok(answer.status().unwrap_or(0))
    }

    /// A phone of Bob's that is registered at a server.
    fn bob(&self, server: usize) -> Result<Peer> {
        let phone = Peer::new(self.servers[server].ready().sip.udp)?;
        assert_eq!(self.register(&phone, server, 600)?, 200);
        Ok(phone)
    }

    /// What Alice gets who calls Bob by a server.
    fn refusal(&self, server: usize) -> Result<Option<u16>> {
        let (caller, invite) = self.servers[server].call("alice", "bob")?;
        Ok(caller.refused(&invite)?.status())
    }

    /// Alice calls Bob by a server, and this phone rings, which is busy.
    fn reaches(&self, server: usize, phone: &Peer) -> Result<()> {
        let (caller, invite) = self.servers[server].call("alice", "bob")?;
        let invited = phone.expect_request("INVITE");
        let busy = phone.response(&invited, "486 Busy Here", "r", &[], "");
        phone.send_to(sent_by(&invited), busy)?;
        assert_eq!(caller.refused(&invite)?.status(), Some(486));
        Ok(())
    }

    /// What a server says of the other one.
    fn peer(&self, server: usize) -> Result<Value> {
        let array = self.servers[server].rest().read("/v1/array")?;
        Ok(array["peers"][0].clone())
    }
}

#[test]
fn phones_at_different_servers_call_each_other() -> Result<()> {
    let array = Array::start()?;
    let mut alice = array.phone(0, "alice", PhoneTransport::Tcp, ALICE_HZ)?;
    let mut bob = array.phone(1, "bob", PhoneTransport::Udp, BOB_HZ)?;
    for server in &array.servers {
        server.wait_for_routable(2);
    }
    for (from, to, name) in [(0, 1, "bob"), (1, 0, "alice")] {
        let (caller, callee) = match from {
            0 => (&mut alice, &mut bob),
            _ => (&mut bob, &mut alice),
        };
        caller.dial(&format!("sip:{name}@array.example"))?;
        callee.wait_for_incoming();
        callee.answer()?;
        let (own, other) = match from {
            0 => (ALICE_HZ, BOB_HZ),
            _ => (BOB_HZ, ALICE_HZ),
        };
        caller.wait_for_tone(other);
        callee.wait_for_tone(own);
        caller.hang_up()?;
        callee.wait_for_closed();
        array.servers[from].wait_until_idle();
        // Each phone is reached by its own server alone: it may stand behind a NAT there.
        let passed = metric(&array.servers[to], "tandem_sip_passed_on_total");
        assert!(passed.is_some_and(|passed| passed >= 1.0), "{passed:?}");
    }
    Ok(())
}

#[test]
fn a_server_that_dies_is_not_waited_for_and_one_that_comes_back_is_found() -> Result<()> {
    let mut array = Array::start()?;
    let bob = array.bob(0)?;
    array.wait_for_elsewhere(1, 1.0);
    array.reaches(1, &bob)?;
    // Half a second later at most, and kill -9 waits for nothing.
    wait_for("the registration on disk", || {
        let log = std::fs::read(array.servers[0].data().join("bindings.log")).ok()?;
        log.windows(3).any(|w| w == b"bob").then_some(())
    });
    array.servers[0].kill_9();
    // As soon as that is noticed, callers are told at once; until then they wait.
    wait_for("its death to be noticed", || {
        let peer = array.peer(1).ok()?;
        let is_gone = peer["heard"] == false && peer["since_s"].as_u64()? >= 6;
        is_gone.then_some(())
    });
    assert_eq!(array.refusal(1)?, Some(480));
    assert_eq!(elsewhere(&array.servers[1]), Some(1.0), "it may come back");
    array.servers[0].restart()?;
    array.wait_until_heard();
    array.reaches(1, &bob)?;
    assert_eq!(array.register(&bob, 0, 0)?, 200);
    array.wait_for_elsewhere(1, 0.0);
    Ok(())
}

#[test]
fn what_has_changed_behind_a_cut_line_is_known_when_it_is_back() -> Result<()> {
    let array = Array::start()?;
    let (ends, moves) = (array.bob(0)?, array.bob(0)?);
    array.wait_for_elsewhere(1, 2.0);
    array.set_lines(Line::Refusing);
    assert_eq!(array.register(&ends, 0, 0)?, 200);
    // Nobody can tell that to the server which has it.
    let moves = moves.towards(array.servers[1].ready().sip.udp);
    assert_eq!(array.register(&moves, 1, 600)?, 200);
    let late = array.bob(0)?;
    array.set_lines(Line::Good);
    wait_for("the same at both", || {
        let held = |server: usize| {
            let all = array.servers[server].registrations();
            let mut pairs: Vec<String> = all
                .iter()
                .map(|r| format!("{} at {}", r["contact"], r["node"]))
                .collect();
            pairs.sort();
            pairs
        };
        let (one, other) = (held(0), held(1));
        (one == other && one.len() == 2).then_some(())
    });
    assert_eq!(elsewhere(&array.servers[0]), Some(1.0), "it has moved");
    array.reaches_both(&moves, &late)?;
    let peer = array.peer(1)?;
    assert_eq!(peer["looks"], 1, "only the changes were sent again: {peer}");
    Ok(())
}

#[test]
fn a_line_that_is_silent_is_taken_for_cut() -> Result<()> {
    let array = Array::start()?;
    let bob = array.bob(0)?;
    array.wait_for_elsewhere(1, 1.0);
    array.set_lines(Line::Dead);
    assert_eq!(array.register(&bob, 0, 0)?, 200);
    testkit::wait_for_within(Duration::from_secs(30), "the silence to be noticed", || {
        (array.peer(1).ok()?["heard"] == false).then_some(())
    });
    array.set_lines(Line::Good);
    array.lines.iter().for_each(FaultProxy::cut);
    array.wait_for_elsewhere(1, 0.0);
    Ok(())
}

#[test]
fn the_number_of_contacts_counts_over_both_servers() -> Result<()> {
    let array = Array::start()?;
    let _first = array.bob(0)?;
    array.wait_for_elsewhere(1, 1.0);
    let _second = array.bob(1)?;
    array.wait_for_elsewhere(0, 1.0);
    let third = Peer::new(array.servers[0].ready().sip.udp)?;
    assert_eq!(array.register(&third, 0, 600)?, 403);
    Ok(())
}

#[test]
fn without_sharing_the_boundary_holds() -> Result<()> {
    let array = Array::with(Sharing::Off)?;
    let bob = array.bob(0)?;
    array.reaches(0, &bob)?;
    assert_eq!(array.refusal(1)?, Some(480));
    let user = array.servers[0].rest().list("/v1/users")?;
    assert!(user.iter().any(|user| user["name"] == "bob"));
    let (caller, invite) = array.servers[1].call("alice", "nobody")?;
    assert_eq!(caller.refused(&invite)?.status(), Some(404));
    let view = array.servers[1].rest().read("/v1/array")?;
    assert_eq!(view["sharing"], false);
    assert_eq!(elsewhere(&array.servers[1]), None);
    Ok(())
}

#[test]
fn what_sharing_costs_is_shown() -> Result<()> {
    let array = Array::start()?;
    let _bob = array.bob(0)?;
    array.wait_for_elsewhere(1, 1.0);
    wait_for("the lag and the clock", || {
        let peer = array.peer(0).ok()?;
        let is_timed = peer["lag_us"].is_u64() && peer["clock_skew_us"].is_i64();
        is_timed.then_some(())
    });
    let (teller, listener) = (array.peer(0)?, array.peer(1)?);
    assert_eq!(teller["sent"]["changes"], 1, "{teller}");
    assert_eq!(listener["received"]["changes"], 1, "{listener}");
    assert_eq!(teller["behind"], 0, "{teller}");
    let bytes = |peer: &Value| peer["sent"]["bytes"].as_u64().unwrap_or(0);
    assert!(bytes(&teller) > 200, "{teller}");
    // Both have the same clock; an answer may be late on a busy machine.
    let skew_us = teller["clock_skew_us"].as_i64().unwrap_or(i64::MAX);
    assert!(skew_us.abs() < 10_000_000, "{skew_us}");
    let lag = metric(&array.servers[0], "tandem_array_lag_seconds");
    assert!(lag.is_some_and(|lag| lag > 0.0), "{lag:?}");
    let up = metric(&array.servers[1], "tandem_array_heard_up");
    assert_eq!(up, Some(1.0));
    let table = array.servers[0].command_line(&["array", "show"])?;
    assert!(table.stdout.contains("LAG"), "{table:?}");
    let doctor = array.servers[0].command_line(&["doctor"])?;
    assert!(doctor.stdout.contains("ms ahead of that of"), "{doctor:?}");
    Ok(())
}

impl Array {
    /// Alice calls Bob by each server, and both his phones ring.
    fn reaches_both(&self, one: &Peer, other: &Peer) -> Result<()> {
        for server in [0, 1] {
            let (caller, invite) = self.servers[server].call("alice", "bob")?;
            for phone in [one, other] {
                let invited = phone.expect_request("INVITE");
                let busy = phone.response(&invited, "486 Busy Here", "r", &[], "");
                phone.send_to(sent_by(&invited), busy)?;
            }
            assert_eq!(caller.refused(&invite)?.status(), Some(486));
        }
        Ok(())
    }
}
