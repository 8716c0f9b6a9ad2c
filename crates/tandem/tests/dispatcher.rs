//! The dispatcher between sipp as callers and sipp as targets: shares, deaths, drains, overflow,
//! and what strangers send.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::json;
use testkit::{Dispatcher, Peer, Sipp, SippCounts, session, wait_for};

/// More calls than any test makes: a target ends with its test.
const MANY: u32 = 100_000;

/// A target that answers calls.
fn target() -> Result<Sipp> {
    answering("uas")?.start()
}

fn answering(scenario: &str) -> Result<Sipp> {
    let sipp = Sipp::new(scenario)?.set("RING_MS", "20");
    Ok(sipp.calls(MANY, 1_000, 2_000))
}

fn dispatcher(targets: &[(&str, SocketAddr)], more: &[&str]) -> Result<Dispatcher> {
    let targets: Vec<String> = targets
        .iter()
        .map(|(name, address)| match name.split_once(',') {
            Some((name, limits)) => format!("--target={name}=udp:{address},{limits}"),
            None => format!("--target={name}=udp:{address}"),
        })
        .collect();
    let mut arguments: Vec<&str> = targets.iter().map(String::as_str).collect();
    arguments.extend(more);
    Dispatcher::start(env!("CARGO_BIN_EXE_tandem"), &arguments)
}

/// Calls at 100 a second, of `talk_ms` each, all of which must succeed.
#[track_caller]
fn call(dispatcher: &Dispatcher, count: u32, talk_ms: &str) -> Result<SippCounts> {
    caller(count, talk_ms)?.run(dispatcher.sip().udp)
}

fn caller(count: u32, talk_ms: &str) -> Result<Sipp> {
    Ok(Sipp::new("uac")?
        .calls(count, 100, count)
        .set("TALK_MS", talk_ms))
}

fn chosen(dispatcher: &Dispatcher, name: &str) -> u64 {
    dispatcher.target(name)["chosen_total"]
        .as_u64()
        .unwrap_or(0)
}

fn calls(dispatcher: &Dispatcher, name: &str) -> u64 {
    dispatcher.target(name)["calls"]
        .as_u64()
        .unwrap_or(u64::MAX)
}

#[track_caller]
fn wait_for_state(dispatcher: &Dispatcher, name: &str, state: &str) {
    wait_for(&format!("{name} to be {state}"), || {
        (dispatcher.target(name)["state"] == state).then_some(())
    });
}

#[test]
fn calls_are_shared_by_weight_and_none_is_repeated() -> Result<()> {
    let (a, b, c) = (target()?, target()?, target()?);
    let targets = [
        ("a,weight=1", a.address()),
        ("b,weight=2", b.address()),
        ("c,weight=7", c.address()),
    ];
    let dispatcher = dispatcher(&targets, &["--algorithm", "weighted"])?;
    let counts = call(&dispatcher, 200, "100")?;
    assert_eq!((counts.succeeded, counts.retransmissions), (200, 0));
    let shares = ["a", "b", "c"].map(|name| chosen(&dispatcher, name));
    assert_eq!(shares, [20, 40, 140]);
    for name in ["a", "b", "c"] {
        assert_eq!(calls(&dispatcher, name), 0, "{name}: every BYE was seen");
    }
    assert_eq!(dispatcher.metric("tandem_calls"), Some(0.0));
    Ok(())
}

#[test]
fn a_killed_target_costs_no_new_call() -> Result<()> {
    let (a, b) = (target()?, target()?);
    let dispatcher = dispatcher(&[("a", a.address()), ("b", b.address())], &[])?;
    call(&dispatcher, 10, "100")?;
    // Dropping a peer is kill -9.
    drop(a);
    let counts = call(&dispatcher, 50, "100")?;
    assert_eq!(counts.succeeded, 50);
    wait_for_state(&dispatcher, "a", "down");
    assert_eq!(dispatcher.target("a")["cause"], "silence");
    assert_eq!(calls(&dispatcher, "b"), 0);
    let failovers = dispatcher.metric("tandem_dispatcher_failovers_total");
    assert!(
        failovers.is_some_and(|count| (1.0..10.0).contains(&count)),
        "{failovers:?}"
    );
    Ok(())
}

#[test]
fn calls_of_a_killed_target_end_with_an_answer() -> Result<()> {
    let (a, b) = (target()?, target()?);
    let dispatcher = dispatcher(&[("a", a.address()), ("b,priority=1", b.address())], &[])?;
    let peer = Peer::new(dispatcher.sip().udp)?;
    let uri = "sip:600@example.com";
    let invite = peer.request("INVITE", uri, &[], &session("127.0.0.1:40000".parse()?));
    peer.send(&invite)?;
    let answer = peer.expect_status(200, "INVITE");
    peer.send(peer.ack(&invite, &answer))?;
    wait_for("the call", || (calls(&dispatcher, "a") == 1).then_some(()));
    drop(a);
    let route = answer.header("Record-Route").unwrap_or_default();
    let lines = [
        format!("Route: {route}"),
        format!("To: {}", answer.header("To").unwrap_or_default()),
        format!("From: {}", answer.header("From").unwrap_or_default()),
        format!("Call-ID: {}", answer.header("Call-ID").unwrap_or_default()),
        "CSeq: 2 BYE".to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let bye = peer.request("BYE", answer.contact_uri(), &lines, "");
    // As a phone does: again and again until somebody answers. The first finds the target dead;
    // the next goes to its fellow, which does not know the call, and says so.
    wait_for("an answer to BYE", || {
        peer.send(&bye).ok()?;
        peer.answers_soon().then_some(())
    });
    wait_for_state(&dispatcher, "a", "down");
    assert_eq!(calls(&dispatcher, "a"), 0);
    Ok(())
}

#[test]
fn a_drained_target_keeps_its_calls_and_says_when_the_last_has_left() -> Result<()> {
    let (a, b) = (target()?, target()?);
    let dispatcher = dispatcher(&[("a", a.address()), ("b", b.address())], &[])?;
    let long = caller(4, "4000")?.start_towards(dispatcher.sip().udp)?;
    wait_for("two calls each", || {
        (calls(&dispatcher, "a") == 2 && calls(&dispatcher, "b") == 2).then_some(())
    });
    let output = dispatcher.command_line(&["target", "drain", "a"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(dispatcher.target("a")["state"], "draining");
    let before = chosen(&dispatcher, "a");
    call(&dispatcher, 10, "100")?;
    assert_eq!(chosen(&dispatcher, "a"), before);
    assert_eq!(calls(&dispatcher, "a"), 2, "its calls go on");
    assert_eq!(long.finish()?.succeeded, 4);
    wait_for_state(&dispatcher, "a", "drained");
    let said = "the last call of the draining target has left";
    wait_for(said, || {
        dispatcher.program().log().contains(said).then_some(())
    });
    dispatcher.command_line(&["target", "resume", "a"])?;
    call(&dispatcher, 20, "100")?;
    assert!(chosen(&dispatcher, "a") > before);
    Ok(())
}

#[test]
fn targets_come_and_go_while_calls_run_and_flush_undoes_it() -> Result<()> {
    let (a, b) = (target()?, target()?);
    let mut dispatcher = dispatcher(&[("a", a.address())], &[])?;
    let long = caller(2, "5000")?.start_towards(dispatcher.sip().udp)?;
    wait_for("two calls", || (calls(&dispatcher, "a") == 2).then_some(()));
    let added = format!("b=udp:{},weight=5", b.address());
    let output = dispatcher.command_line(&["target", "add", &added])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    let output = dispatcher.command_line(&["target", "remove", "a"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    call(&dispatcher, 10, "100")?;
    assert_eq!(chosen(&dispatcher, "b"), 10);
    let output = dispatcher.command_line(&["target", "show", "a"])?;
    assert_eq!(output.code, 3, "{}", output.stderr);
    dispatcher
        .rest()
        .change("/v1/targets/b", &json!({ "weight": 7, "calls_max": 9 }))?;
    assert_eq!(dispatcher.target("b")["calls_max"], 9);
    for wrong in [
        json!({ "weight": 0 }),
        json!({ "wieght": 1 }),
        json!({ "name": "c" }),
    ] {
        let (status, _) = dispatcher
            .rest()
            .send("PATCH", "/v1/targets/b", Some(&wrong))?;
        assert_eq!(status, 422, "{wrong}");
    }
    let (status, _) = dispatcher
        .rest()
        .with_token("wrong")
        .send("GET", "/v1/targets", None)?;
    assert_eq!(status, 401);
    // The calls of the target that was taken out end where they are.
    assert_eq!(long.finish()?.succeeded, 2);
    dispatcher.crash_and_restart()?;
    assert_eq!(dispatcher.target("b")["weight"], 7, "changes are kept");
    let output = dispatcher.command_line(&["flush"])?;
    assert!(
        output.stdout.contains("127.0.0.1") && output.code == 0,
        "{}",
        output.stderr
    );
    let names: Vec<_> = dispatcher.rest().list("/v1/targets")?;
    assert_eq!((names.len(), names[0]["name"].as_str()), (1, Some("a")));
    Ok(())
}

#[test]
fn a_target_may_be_a_host_name() -> Result<()> {
    let a = target()?;
    let named = format!("--target=a=udp:localhost:{}", a.address().port());
    let unknown = "--target=b=udp:nowhere.invalid:5060";
    let dispatcher = dispatcher(&[], &[&named, unknown])?;
    assert_eq!(call(&dispatcher, 10, "100")?.succeeded, 10);
    // All addresses of the host, and nothing of the host that is not there.
    let known = dispatcher.rest().list("/v1/targets")?;
    let remote = format!("udp:{}", a.address());
    assert!(
        known.iter().any(|t| t["address"] == remote.as_str()),
        "{known:?}"
    );
    let is_of_a = |name: &str| name == "a" || name.starts_with("a@");
    assert!(
        known
            .iter()
            .all(|t| t["name"].as_str().is_some_and(is_of_a)),
        "{known:?}"
    );
    let output = dispatcher.command_line(&["target", "drain", "a"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    let known = dispatcher.rest().list("/v1/targets")?;
    assert!(known.iter().all(|t| t["draining"] == true), "{known:?}");
    Ok(())
}

#[test]
fn the_secondary_is_idle_until_the_primary_is_full() -> Result<()> {
    let (a, b) = (target()?, target()?);
    let targets = [
        ("a,priority=0,calls=3", a.address()),
        ("b,priority=1", b.address()),
    ];
    let dispatcher = dispatcher(&targets, &[])?;
    let calls = Sipp::new("uac")?.calls(8, 5, 8).set("TALK_MS", "4000");
    let calls = calls.start_towards(dispatcher.sip().udp)?;
    calls.finish()?;
    assert_eq!([chosen(&dispatcher, "a"), chosen(&dispatcher, "b")], [3, 5]);
    Ok(())
}

#[test]
fn a_redirection_of_a_full_target_is_followed_or_passes() -> Result<()> {
    let b = target()?;
    let contact = format!("Contact: <sip:sipp@{}>", b.address());
    let full = || -> Result<Sipp> {
        answering("uas_refuse")?
            .set("STATUS", "302")
            .header(&contact)
            .start()
    };
    let a = full()?;
    let targets = [("a", a.address()), ("b,priority=1", b.address())];
    let followed = dispatcher(&targets, &[])?;
    assert_eq!(call(&followed, 10, "100")?.succeeded, 10);
    assert_eq!(
        followed.metric("tandem_dispatcher_redirects_total"),
        Some(10.0)
    );
    let passed = dispatcher(&targets, &["--redirects", "pass"])?;
    let caller = Sipp::new("uac_refused")?
        .calls(5, 50, 5)
        .set("STATUS", "302");
    assert_eq!(caller.run(passed.sip().udp)?.succeeded, 5);
    Ok(())
}

#[test]
fn a_target_that_says_503_is_left_alone_as_long_as_it_wants() -> Result<()> {
    let refusing = answering("uas_refuse")?.set("STATUS", "503");
    let a = refusing.header("Retry-After: 100").start()?;
    let b = target()?;
    let dispatcher = dispatcher(&[("a", a.address()), ("b", b.address())], &[])?;
    assert_eq!(call(&dispatcher, 20, "100")?.succeeded, 20);
    assert_eq!(chosen(&dispatcher, "a"), 1);
    assert!(dispatcher.target("a")["closed_ms"].as_u64() > Some(90_000));
    Ok(())
}

#[test]
fn a_restart_in_the_middle_of_calls_is_not_noticed() -> Result<()> {
    let (a, b) = (target()?, target()?);
    let mut dispatcher = dispatcher(&[("a", a.address()), ("b", b.address())], &[])?;
    let long = caller(20, "3000")?.start_towards(dispatcher.sip().udp)?;
    wait_for("twenty calls", || {
        (dispatcher.metric("tandem_calls") == Some(20.0)).then_some(())
    });
    dispatcher.crash_and_restart()?;
    assert_eq!(
        dispatcher.metric("tandem_calls"),
        Some(0.0),
        "it knows of none"
    );
    assert_eq!(long.finish()?.succeeded, 20, "their BYEs arrive");
    Ok(())
}

#[test]
fn two_dispatchers_with_one_key_are_one() -> Result<()> {
    let nowhere: SocketAddr = "127.0.0.1:9".parse()?;
    let target = Peer::new(nowhere)?;
    let key = tempfile::NamedTempFile::new()?;
    std::fs::write(key.path(), [9; 32])?;
    let key = key.path().display().to_string();
    let first = dispatcher(&[("a", target.address())], &["--key", &key])?;
    let second = dispatcher(&[("a", target.address())], &["--key", &key])?;
    let phone = Peer::new(first.sip().udp)?;
    let uri = "sip:600@example.com";
    phone.send(phone.request("INVITE", uri, &[], &session("127.0.0.1:40000".parse()?)))?;
    let invite = target.expect_request("INVITE");
    let target = target.towards(first.sip().udp);
    target.send(target.response(&invite, "200 OK", "callee", &[], ""))?;
    let answer = phone.expect_status(200, "INVITE");
    let route = answer.header("Record-Route").unwrap_or_default();
    let [from, to] = [first.sip().udp, second.sip().udp].map(|address| address.to_string());
    let moved = route.replace(&from, &to);
    let mut lines = vec![format!("Route: {moved}"), "CSeq: 2 BYE".to_owned()];
    for name in ["To", "From", "Call-ID"] {
        lines.push(format!(
            "{name}: {}",
            answer.header(name).unwrap_or_default()
        ));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let phone = phone.towards(second.sip().udp);
    phone.send(phone.request("BYE", answer.contact_uri(), &lines, ""))?;
    let bye = target.expect_request("BYE");
    let target = target.towards(second.sip().udp);
    target.send(target.response(&bye, "200 OK", "", &[], ""))?;
    phone.expect_status(200, "BYE");
    Ok(())
}

#[test]
fn forged_routes_and_rubbish_get_their_answers() -> Result<()> {
    let a = target()?;
    let dispatcher = dispatcher(&[("a", a.address())], &[])?;
    let at = dispatcher.sip().udp;
    let peer = Peer::new(at)?;
    let forged = [
        format!("Route: <sip:dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@{at};lr>"),
        "To: <sip:600@example.com>;tag=x".to_owned(),
    ];
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    peer.send(peer.request("BYE", "sip:127.0.0.1:1", &forged, ""))?;
    peer.expect_status(403, "BYE");
    let inside = ["To: <sip:600@example.com>;tag=x"];
    peer.send(peer.request("BYE", "sip:127.0.0.1:1", &inside, ""))?;
    peer.expect_status(481, "BYE");
    peer.send(peer.request("OPTIONS", &format!("sip:{at}"), &[], ""))?;
    peer.expect_status(200, "OPTIONS");
    let none_left = ["Max-Forwards: 0"];
    peer.send(peer.request("INVITE", "sip:600@example.com", &none_left, ""))?;
    peer.expect_status(483, "INVITE");
    let loops = [format!(
        "Via: SIP/2.0/UDP {};branch=z9hG4bKabc;rport",
        peer.address()
    )];
    let invite = peer.request("INVITE", "http://example.com", &[&loops[0]], "");
    peer.send(invite)?;
    peer.expect_status(416, "INVITE");
    peer.send(b"INVITE sip:x SIP/2.0\r\nVia: \xff\xfe\r\n\r\n")?;
    peer.send([0; 1_000])?;
    peer.send(peer.request(
        "INVITE",
        "sip:600@example.com",
        &[],
        &session("127.0.0.1:40000".parse()?),
    ))?;
    peer.expect_status(200, "INVITE");
    Ok(())
}

#[test]
fn without_targets_the_caller_learns_when_to_come_back() -> Result<()> {
    let dispatcher = dispatcher(&[], &[])?;
    let peer = Peer::new(dispatcher.sip().udp)?;
    peer.send(peer.request("INVITE", "sip:600@example.com", &[], ""))?;
    let refusal = peer.expect_status(503, "INVITE");
    assert!(refusal.header("Retry-After").is_some());
    let (status, _) = dispatcher.rest().send("GET", "/readyz", None)?;
    assert_eq!(status, 503);
    Ok(())
}

#[test]
fn the_doctor_sees_what_would_stop_it() -> Result<()> {
    let dispatcher = dispatcher(&[], &[])?;
    let taken = format!("--listen=udp:{}", dispatcher.sip().udp);
    let flags = [
        "doctor",
        &taken,
        "--target=a=udp:10.0.0.1:5060",
        "--api=127.0.0.1:0",
    ];
    let output = dispatcher.command_line(&flags)?;
    assert_eq!(output.code, 0, "{}", output.stdout);
    assert!(output.stdout.contains("targets: 1"), "{}", output.stdout);
    assert!(
        output.stdout.contains("held by the running tandem"),
        "{}",
        output.stdout
    );
    let wrong = [
        "doctor",
        "--listen=udp:127.0.0.1:0",
        "--target=a=ws:127.0.0.1:5060",
    ];
    let output = dispatcher.command_line(&wrong)?;
    assert_eq!(output.code, 1, "{}", output.stdout);
    assert!(output.stdout.contains("FAIL"), "{}", output.stdout);
    Ok(())
}
