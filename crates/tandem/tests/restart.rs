//! What outlives the process, and what two of them do side by side.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    GatewaySpec, Message, Peer, Platform, Sipp, StreamPeer, record_path, session, wait_for,
    wait_for_within,
};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn carrier_at(platform: &Platform, callee: &Sipp) -> Result<()> {
    let rest = platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let spec = GatewaySpec::at(callee.address());
    rest.add_carrier("", &[spec], &json!({})).map(|_| ())
}

fn cdrs(platform: &Platform, at_least: usize) -> Vec<Value> {
    wait_for("the CDRs", || {
        let all = platform.rest().list("/v1/cdrs?limit=500").ok()?;
        (all.len() >= at_least).then_some(all)
    })
}

/// Names that must stay the same.
fn names(platform: &Platform, path: &str, field: &str) -> Result<Vec<String>> {
    let records = platform.rest().list(path)?;
    let mut names: Vec<String> = records.iter().map(|r| r[field].to_string()).collect();
    names.sort();
    Ok(names)
}

#[test]
fn what_is_there_stays_there_after_a_stop_and_after_a_crash() -> Result<()> {
    let mut platform = platform()?;
    let account = platform.rest().account()?;
    let carol = json!({ "account": account, "name": "carol", "password": "carol's own secret" });
    platform.rest().create("/v1/users", &carol)?;
    let port = testkit::ports::one();
    let more = json!({ "transport": "tcp", "address": format!("127.0.0.1:{port}") });
    platform.rest().create("/v1/listeners", &more)?;
    let phone = Peer::new(platform.ready().sip.udp)?;
    phone.register_routable(&platform, "alice")?;
    let all = |platform: &Platform| -> Result<[Vec<String>; 4]> {
        Ok([
            names(platform, "/v1/users", "name")?,
            names(platform, "/v1/registrations", "id")?,
            names(platform, "/v1/listeners", "address")?,
            names(platform, "/v1/cdrs", "call")?,
        ])
    };
    let (mut before, ready) = (all(&platform)?, platform.ready().clone());
    // Registrations are on disk half a second after they change at the latest.
    wait_for("the registration on disk", || {
        let log = std::fs::read(platform.data().join("bindings.log")).ok()?;
        log.windows(5).any(|w| w == b"alice").then_some(())
    });

    for crash in [false, true] {
        if crash {
            platform.kill_9();
        }
        platform.restart()?;
        assert_eq!(all(&platform)?, before, "crash: {crash}");
        assert_eq!(platform.ready().token, ready.token);
        assert_eq!(platform.ready().sip.udp, ready.sip.udp);
        for user in &ready.users {
            assert_eq!(platform.ready().user(&user.name).password, user.password);
        }
        StreamPeer::tcp(([127, 0, 0, 1], port).into())?;
        // The restored registration takes calls; the password is good for one.
        let bob = Peer::new(ready.sip.udp)?;
        let offer = session("127.0.0.1:40000".parse()?);
        let uri = format!("sip:alice@{}", ready.domain);
        let call = bob.send_with_digest(&ready.credentials("bob"), "INVITE", &uri, &[], &offer)?;
        let invited = phone.expect_request("INVITE");
        phone.send(phone.response(&invited, "603 Decline", "p", &[], ""))?;
        let declined = bob.expect_status(603, "INVITE");
        bob.send(bob.ack(&call, &declined))?;
        platform.wait_until_idle();
        let ids = names(&platform, "/v1/cdrs", "call")?;
        let distinct: HashSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "no call has two CDRs");
        cdrs(&platform, before[3].len() + 1);
        before = all(&platform)?;
    }
    Ok(())
}

#[test]
fn calls_under_way_at_a_crash_are_closed_once() -> Result<()> {
    let mut platform = platform()?;
    let callee = Sipp::new("uas")?.calls(100, 100, 100).start()?;
    carrier_at(&platform, &callee)?;
    let callers = Sipp::new("uac")?
        .service("493012345")
        .set("TALK_MS", "60000")
        .calls(5, 50, 5)
        .start_towards(platform.ready().sip.udp)?;
    let calls = wait_for("five calls", || {
        let all = platform.rest().list("/v1/calls?state=answered").ok()?;
        (all.len() == 5).then_some(all)
    });
    platform.kill_9();
    drop(callers);
    platform.restart()?;
    for round in 0..2 {
        let closed = cdrs(&platform, 5);
        assert_eq!(closed.len(), 5, "round {round}: {closed:?}");
        for call in &calls {
            let mut ours = closed.iter().filter(|cdr| cdr["call"] == call["id"]);
            let cdr = ours.next().expect("each call has a CDR");
            assert_eq!(ours.count(), 0, "and only one");
            assert_eq!(cdr["start_us"], call["start_us"]);
            assert_eq!(cdr["answer_us"], call["answer_us"]);
            assert_eq!(cdr["reason"], "node restarted");
            assert_eq!(cdr["outcome"], "answered");
        }
        platform.restart()?;
    }
    Ok(())
}

#[test]
fn crashes_at_random_moments_lose_and_double_no_cdr() -> Result<()> {
    let mut platform = platform()?;
    let callee = Sipp::new("uas")?.calls(100_000, 1, 100_000).start()?;
    carrier_at(&platform, &callee)?;
    let mut moment_ms = 300;
    let mut answered = HashSet::new();
    for _ in 0..ROUNDS {
        let callers = Sipp::new("uac")?
            .service("493012345")
            .set("TALK_MS", "40")
            .calls(100_000, 200, 1_000)
            .argument("-message_file", "messages")
            .flag("-trace_msg")
            .start_towards(platform.ready().sip.udp)?;
        let crash = Instant::now() + Duration::from_millis(moment_ms);
        wait_for("the moment of the crash", || {
            (Instant::now() >= crash).then_some(())
        });
        platform.kill_9();
        answered.extend(finally_answered(&callers.file("messages")));
        drop(callers);
        platform.restart()?;
        // 300 to 1,000 ms, without a pattern the platform could follow.
        moment_ms = 300 + (moment_ms * 7_919 + 101) % 700;
    }
    assert!(answered.len() > 50 * ROUNDS, "{} calls", answered.len());
    let recorded = || {
        let all = platform.rest().list("/v1/cdrs?limit=500").ok()?;
        let ids: Vec<String> = all
            .iter()
            .filter_map(|cdr| cdr["sip_call_id"].as_str().map(str::to_owned))
            .collect();
        let distinct: HashSet<String> = ids.iter().cloned().collect();
        assert_eq!(distinct.len(), ids.len(), "no call has two CDRs");
        answered.is_subset(&distinct).then_some(())
    };
    wait_for_within(
        Duration::from_secs(30),
        "a CDR of each answered call",
        recorded,
    );
    Ok(())
}

#[test]
fn an_orderly_stop_ends_calls_on_both_sides() -> Result<()> {
    let mut platform = platform()?;
    let callee = Sipp::new("uas")?.calls(3, 10, 3).start()?;
    carrier_at(&platform, &callee)?;
    let callers = Sipp::new("uac_remote_bye")?
        .service("493012345")
        .calls(3, 50, 3)
        .start_towards(platform.ready().sip.udp)?;
    wait_for("three calls", || {
        let all = platform.rest().list("/v1/calls?state=answered").ok()?;
        (all.len() == 3).then_some(())
    });
    platform.restart()?;
    callers.finish()?;
    callee.finish()?;
    let closed = cdrs(&platform, 3);
    assert_eq!(closed.len(), 3, "{closed:?}");
    for cdr in closed {
        assert_eq!(cdr["ended_by"], "platform", "{cdr}");
        assert_ne!(cdr["reason"], "node restarted", "{cdr}");
    }
    Ok(())
}

#[test]
fn data_belongs_to_one_process() -> Result<()> {
    let first = platform()?;
    let words = ["up", "--sip-port", "0", "--http-port", "0"];
    let second = first.command_line(&words)?;
    assert_ne!(second.code, 0, "{}", second.stdout);
    assert!(second.stderr.contains("journal"), "{}", second.stderr);
    assert_eq!(first.rest().list("/v1/users")?.len(), 2);
    Ok(())
}

/// The Call-IDs of calls whose caller has seen a final answer, by sipp's own log.
fn finally_answered(log: &str) -> HashSet<String> {
    let text = log.replace("\r\n", "\n").replace('\n', "\r\n");
    let messages = text.split("SIP/2.0 ").skip(1);
    let complete = messages.filter_map(|part| Message::parse(&format!("SIP/2.0 {part}")));
    complete
        .filter(|m| m.status().is_some_and(|s| s >= 200))
        .filter_map(|m| m.header("Call-ID").map(str::to_owned))
        .collect()
}

#[test]
fn two_platforms_on_one_machine_call_each_other() -> Result<()> {
    let (one, other) = (platform()?, platform()?);
    for (here, there) in [(&one, &other), (&other, &one)] {
        let rest = here.rest();
        let spec = GatewaySpec::at(there.ready().sip.udp);
        rest.add_carrier("49", &[spec], &json!({}))?;
        let gateway = rest.list("/v1/gateways")?.remove(0);
        let path = record_path("gateways", &gateway);
        rest.change(&path, &json!({ "inbound": true }))?;
        let users = rest.list("/v1/users")?;
        let alice = users.iter().find(|u| u["name"] == "alice");
        let number = json!({
            "account": rest.account()?,
            "number": "+4930100",
            "target": { "kind": "user", "user": alice.map(|u| &u["id"]) },
        });
        rest.create("/v1/numbers", &number)?;
    }
    for (from, to) in [(&one, &other), (&other, &one)] {
        let (alice, bob) = (
            Peer::new(to.ready().sip.udp)?,
            Peer::new(from.ready().sip.udp)?,
        );
        // The number is one of ours on both sides: dialled with a prefix, it goes out.
        alice.register_routable(to, "alice")?;
        let number = from.rest().list("/v1/numbers")?.remove(0);
        let path = record_path("numbers", &number);
        from.rest().remove(&path)?;
        let offer = session("127.0.0.1:40000".parse()?);
        let uri = format!("sip:+4930100@{}", from.ready().domain);
        let who = from.ready().credentials("bob");
        let call = bob.send_with_digest(&who, "INVITE", &uri, &[], &offer)?;
        let invited = alice.expect_request("INVITE");
        let answer = session("127.0.0.1:40002".parse()?);
        alice.send(alice.response(&invited, "200 OK", "a", &[], &answer))?;
        let answered = bob.expect_status(200, "INVITE");
        bob.send(bob.ack(&call, &answered))?;
        alice.expect_request("ACK");
        let live = from.rest().list("/v1/calls")?.remove(0);
        let path = record_path("calls", &live);
        from.rest().remove(&path)?;
        for party in [&alice, &bob] {
            let bye = party.expect_request("BYE");
            party.send(party.response(&bye, "200 OK", "", &[], ""))?;
        }
        for platform in [from, to] {
            platform.wait_until_idle();
            let cdr = cdrs(platform, 1).remove(0);
            assert_eq!(cdr["outcome"], "answered", "{cdr}");
        }
        from.rest().create(
            "/v1/numbers",
            &json!({
                "account": number["account"],
                "number": "+4930100",
                "target": number["target"],
            }),
        )?;
    }
    Ok(())
}

const ROUNDS: usize = 10;
