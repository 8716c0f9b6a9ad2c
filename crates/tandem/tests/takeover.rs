//! Calls outlive their switch: a dispatcher, switches that share PostgreSQL and Redis, and media on a
//! server of its own; then the switch that has the calls is killed.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    Baresip, Dispatcher, GatewaySpec, MediaServer, PhoneOptions, PhoneTransport, Platform,
    PlatformOptions, PostgresServer, RedisServer, Sipp, wait_for, wait_for_within,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");
const DOMAIN: &str = "calls.example";
/// How many calls of its first owner Redis has.
const CALLS_KNOWN: &str = "EVAL \"local o = redis.call('SMEMBERS', 'tandem:call-owners')[1] \
    return o and redis.call('HLEN', 'tandem:calls:' .. o) or 0\" 0";
const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;

/// Two switches behind a dispatcher that uses the second only when the first is gone.
struct Cluster {
    dispatcher: Dispatcher,
    switches: [Platform; 2],
    redis: RedisServer,
    _postgres: PostgresServer,
}

impl Cluster {
    fn start() -> Result<Self> {
        let (postgres, redis) = (PostgresServer::start()?, RedisServer::start()?);
        let switch = |key: Option<&[u8]>| {
            let options = PlatformOptions::new(BINARY);
            let options = options.argument("--domain").argument(DOMAIN);
            let options = options.argument("--store").argument(&postgres.url());
            let options = options.argument("--live").argument(&redis.url());
            match key {
                Some(key) => options.data_file("cluster.key", key).start(),
                None => options.start(),
            }
        };
        let first = switch(None)?;
        let key = std::fs::read(first.data().join("cluster.key"))?;
        let second = switch(Some(&key))?;
        first
            .rest()
            .change("/v1/settings", &json!({ "dispatchers": ["127.0.0.1/32"] }))?;
        let targets = [
            format!("--target=s0=udp:{}", first.ready().sip.udp),
            format!("--target=s1=udp:{},priority=1", second.ready().sip.udp),
        ];
        let arguments = [targets[0].as_str(), &targets[1], "--name", DOMAIN];
        let dispatcher = Dispatcher::start(BINARY, &arguments)?;
        let cluster = Self {
            dispatcher,
            switches: [first, second],
            redis,
            _postgres: postgres,
        };
        wait_for("two members", || {
            let members = cluster.redis.ask("HLEN tandem:members").ok()?;
            (members == ":2").then_some(())
        });
        Ok(cluster)
    }

    /// Both switches have their calls' media there.
    fn use_media(&self, media: &MediaServer) -> Result<()> {
        let rest = self.switches[0].rest();
        rest.add_media_server("m1", &media.control(), &json!({}))?;
        wait_for("the media server to be up for both", || {
            let up = |switch: &Platform| {
                let page = switch.rest().send("GET", "/metrics", None).ok()?.1;
                let mut lines = page.as_str()?.lines();
                let line = lines.find(|line| line.starts_with("tandem_media_server_up{"))?;
                Some(line.ends_with(" 1"))
            };
            (up(&self.switches[0])? && up(&self.switches[1])?).then_some(())
        });
        Ok(())
    }

    fn phone(&self, name: &str, tone_hz: u32) -> Result<Baresip> {
        let password = &self.switches[0].ready().user(name).password;
        let options = PhoneOptions::new(name, DOMAIN)
            .password(password)
            .server(self.dispatcher.sip().udp, PhoneTransport::Udp)
            .tone_hz(tone_hz);
        Baresip::register(options)
    }

    /// Alice and Bob, who hear each other, in a call of the first switch.
    fn talking(&self) -> Result<(Baresip, Baresip)> {
        let mut alice = self.phone("alice", ALICE_HZ)?;
        let mut bob = self.phone("bob", BOB_HZ)?;
        self.switches[0].wait_for_routable(2);
        alice.dial(&format!("sip:bob@{DOMAIN}"))?;
        bob.wait_for_incoming();
        bob.answer()?;
        alice.wait_for_established();
        bob.wait_for_established();
        alice.wait_for_tone(BOB_HZ);
        bob.wait_for_tone(ALICE_HZ);
        Ok((alice, bob))
    }

    /// How many calls a switch has taken over.
    fn taken_over(&self, switch: usize) -> u64 {
        metric(&self.switches[switch], "tandem_calls_taken_over_total")
    }

    fn calls(&self, switch: usize) -> usize {
        let calls = self.switches[switch].rest().list("/v1/calls");
        calls.map_or(0, |calls| calls.len())
    }

    /// The CDRs, when there are so many and the survivor has no call any more.
    fn cdrs(&self, count: usize) -> Vec<Value> {
        self.switches[1].wait_until_idle();
        let rest = self.switches[1].rest();
        wait_for(&format!("{count} CDRs"), || {
            let cdrs = rest.list("/v1/cdrs?limit=500").ok()?;
            (cdrs.len() >= count).then_some(cdrs)
        })
    }

    /// The killed one comes back, and says nothing of calls that others have gone on with.
    fn bring_back(&mut self) -> Result<()> {
        self.switches[0].restart()?;
        let settled = "what became of the calls of before is known";
        wait_for_within(Duration::from_secs(30), "it to have settled", || {
            let log = self.switches[0].program().log();
            log.contains(settled).then_some(())
        });
        Ok(())
    }
}

fn metric(platform: &Platform, name: &str) -> u64 {
    let page = platform.rest().send("GET", "/metrics", None);
    let page = page.expect("metrics").1;
    let mut lines = page.as_str().unwrap_or_default().lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("the metric").parse().expect("a number")
}

fn talked_us(cdr: &Value) -> u64 {
    let at = |field: &str| cdr[field].as_u64().unwrap_or(0);
    at("end_us") - at("answer_us")
}

#[test]
fn a_call_goes_on_when_its_switch_is_killed() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let began = Instant::now();
    let (mut alice, mut bob) = cluster.talking()?;
    assert_eq!(media.sessions(), 1);
    let answered = Instant::now();
    cluster.switches[0].kill_9();
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    eprintln!("taken over after {:?}", answered.elapsed());
    assert_eq!(cluster.taken_over(1), 1);
    // Nobody has noticed, and it can be held and resumed.
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hold()?;
    alice.resume()?;
    alice.wait_for_tone(BOB_HZ);
    assert_eq!(media.sessions(), 1, "it is where it was");
    let talked = answered.elapsed();
    bob.hang_up()?;
    alice.wait_for_closed();
    let cdrs = cluster.cdrs(1);
    let all = began.elapsed();
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(
        (&cdr["outcome"], &cdr["ended_by"]),
        (&json!("answered"), &json!("callee"))
    );
    let us = u128::from(talked_us(cdr));
    assert!(us >= talked.as_micros() && us <= all.as_micros(), "{cdr}");
    for leg in ["media_a", "media_b"] {
        let packets = cdr[leg]["packets"].as_u64().unwrap_or(0);
        assert!(packets > 0, "{leg} of {cdr}");
    }
    wait_for("the session to end", || {
        (media.sessions() == 0).then_some(())
    });
    cluster.bring_back()?;
    assert_eq!(cluster.cdrs(1).len(), 1, "one call has one record");
    Ok(())
}

#[test]
fn whoever_hangs_up_first_is_heard_by_the_other_switch() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let (mut alice, mut bob) = cluster.talking()?;
    // At once: nobody else knows yet that it is dead.
    cluster.switches[0].kill_9();
    let killed = Instant::now();
    alice.hang_up()?;
    bob.wait_for_closed();
    eprintln!("the other side heard of it after {:?}", killed.elapsed());
    let cdrs = cluster.cdrs(1);
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(
        (&cdr["outcome"], &cdr["ended_by"]),
        (&json!("answered"), &json!("caller"))
    );
    Ok(())
}

#[test]
fn media_that_died_with_the_switch_are_begun_anew() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let (mut alice, mut bob) = cluster.talking()?;
    cluster.switches[0].kill_9();
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    wait_for("its media to have moved", || {
        let moved = metric(&cluster.switches[1], "tandem_calls_media_moved_total");
        (moved == 1).then_some(())
    });
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    assert_eq!(cluster.cdrs(1).len(), 1);
    Ok(())
}

#[test]
fn fifty_calls_lose_nothing_but_their_switch() -> Result<()> {
    const CALLS: u32 = 50;
    let mut cluster = Cluster::start()?;
    let callee = Sipp::new("uas")?.calls(CALLS, 1, CALLS).start()?;
    let rest = cluster.switches[0].rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    // Half of it is each one's.
    let limits = json!({ "limits": { "channels": 2 * CALLS } });
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &limits)?;
    wait_for("shares of the limit", || {
        let limits = cluster.switches[0].rest().list("/v1/limits").ok()?;
        let carrier = limits
            .into_iter()
            .find(|limit| limit["kind"] == "carrier")?;
        (carrier["channels_share"].as_u64()? >= u64::from(CALLS)).then_some(())
    });
    let caller = Sipp::new("uac")?
        .service("493012345")
        .set("TALK_MS", "8000")
        .calls(CALLS, 10, CALLS)
        .start_towards(cluster.dispatcher.sip().udp)?;
    wait_for("all calls", || {
        (cluster.calls(0) == CALLS as usize).then_some(())
    });
    wait_for("others to know of them, answered as they are", || {
        let known = cluster.redis.ask(CALLS_KNOWN).ok()?;
        (known == format!(":{CALLS}")).then_some(())
    });
    cluster.switches[0].kill_9();
    wait_for("the other to have them", || {
        (cluster.calls(1) == CALLS as usize).then_some(())
    });
    let limits = cluster.switches[1].rest().list("/v1/limits")?;
    let carrier = limits.iter().find(|limit| limit["kind"] == "carrier");
    assert_eq!(carrier.map(|limit| &limit["channels"]), Some(&json!(CALLS)));
    let counts = caller.finish()?;
    assert_eq!(counts.succeeded, u64::from(CALLS), "{counts:?}");
    // Each BYE has reached the callee.
    let heard = callee.finish()?;
    assert_eq!(heard.succeeded, u64::from(CALLS), "{heard:?}");
    let cdrs = cluster.cdrs(CALLS as usize);
    assert_eq!(cdrs.len(), CALLS as usize);
    for cdr in &cdrs {
        assert_eq!(
            (&cdr["outcome"], &cdr["ended_by"]),
            (&json!("answered"), &json!("caller"))
        );
        let talked_ms = talked_us(cdr) / 1_000;
        assert!((7_900..9_500).contains(&talked_ms), "{talked_ms} ms: {cdr}");
    }
    cluster.bring_back()?;
    assert_eq!(cluster.cdrs(CALLS as usize).len(), CALLS as usize);
    let limits = cluster.switches[1].rest().list("/v1/limits")?;
    let carrier = limits.iter().find(|limit| limit["kind"] == "carrier");
    assert_eq!(carrier.map(|limit| &limit["channels"]), Some(&json!(0)));
    Ok(())
}

#[test]
fn a_switch_that_hung_says_nothing_in_calls_that_others_have() -> Result<()> {
    let cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let (mut alice, mut bob) = cluster.talking()?;
    let hung = cluster.switches[0].program();
    hung.hang()?;
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    alice.wait_for_tone(BOB_HZ);
    hung.go_on()?;
    wait_for("it to have noticed", || {
        let lost = metric(&cluster.switches[0], "tandem_calls_lost_to_others_total");
        (lost == 1).then_some(())
    });
    assert_eq!(cluster.calls(0), 0);
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    // What the dispatcher sends to the first again, which it knows as the call's, is answered.
    alice.hold()?;
    alice.resume()?;
    alice.wait_for_tone(BOB_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    let cdrs = wait_for("the CDR", || {
        let cdrs = cluster.switches[0].rest().list("/v1/cdrs").ok()?;
        (!cdrs.is_empty()).then_some(cdrs)
    });
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(
        (&cdr["outcome"], &cdr["ended_by"]),
        (&json!("answered"), &json!("callee"))
    );
    Ok(())
}

#[test]
fn a_request_to_a_switch_that_came_back_finds_its_call() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let media = MediaServer::with_ports(BINARY, 100, &[])?;
    cluster.use_media(&media)?;
    let (mut alice, mut bob) = cluster.talking()?;
    cluster.switches[0].kill_9();
    wait_for("the other to have the call", || {
        (cluster.calls(1) == 1).then_some(())
    });
    cluster.bring_back()?;
    assert_eq!(cluster.calls(0), 0, "the call stays where it is");
    wait_for("the dispatcher to use it again", || {
        (cluster.dispatcher.target("s0")["state"] == "up").then_some(())
    });
    alice.hang_up()?;
    bob.wait_for_closed();
    let handed = metric(&cluster.switches[1], "tandem_calls_handed_over_total");
    assert_eq!(handed, 1, "it went to where the request was");
    let cdrs = cluster.cdrs(1);
    let [cdr] = &cdrs[..] else {
        panic!("{cdrs:?}");
    };
    assert_eq!(
        (&cdr["outcome"], &cdr["ended_by"]),
        (&json!("answered"), &json!("caller"))
    );
    Ok(())
}
