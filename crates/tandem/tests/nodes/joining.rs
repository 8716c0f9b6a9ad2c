//! Machines that join a platform by a token, and take calls for it from then on: without its
//! database, over lines that are refused to everybody else.

use std::path::Path;

use anyhow::{Context as _, Result};
use link::{Authority, Identity, SigningRequest};
use serde_json::{Value, json};
use testkit::{Peer, Platform, Sipp, wait_for};

use crate::control::{Control, join, start};

/// What joining is refused with.
#[track_caller]
fn refusal(control: &str, token: &str) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let refused = join(directory.path(), control, token);
    Ok(refused.expect_err("it must not join").to_string())
}

fn caller(calls: u32) -> Result<Sipp> {
    let sipp = Sipp::new("uac")?.service("493012345").set("TALK_MS", "50");
    Ok(sipp.calls(calls, 50, calls))
}

#[track_caller]
fn wait_for_log(platform: &Platform, text: &str) {
    wait_for(&format!("\"{text}\" in the log"), || {
        platform.program().log().contains(text).then_some(())
    });
}

/// A user of the platform registers there.
fn register_at(node: &Platform, control: &Control) -> Result<()> {
    let phone = Peer::new(node.ready().sip.udp)?;
    let mut ready = node.ready().clone();
    ready.users.clone_from(&control.platform.ready().users);
    let answer = phone.register(&ready, "alice", &["Expires: 600"])?;
    assert_eq!(answer.status(), Some(200), "{answer:?}");
    Ok(())
}

#[test]
fn a_machine_joins_by_a_token_and_takes_calls_without_the_database() -> Result<()> {
    let control = Control::start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    control.route_to(&callee)?;
    let words = ["zone", "create", "--name", "Germany"];
    assert_eq!(control.platform.command_line(&words)?.code, 0);
    let token = control.token(&["--name", "berlin", "--zone", "Germany"])?;
    let directory = tempfile::tempdir()?;
    join(directory.path(), &control.address(), &token)?;
    let node = start(directory.path())?;
    let health = control.wait_for_state("berlin", "up");
    assert_eq!(health["zone"], "Germany");
    assert_eq!(health["report"]["channels"], 0);
    assert_eq!(health["report"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(!node.data().join("tandem.db").exists());
    let words = ["server", "health", "--filter", "zone=Germany"];
    let table = control.platform.command_line(&words)?;
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(table.stdout.contains("it takes calls"), "{}", table.stdout);

    caller(20)?.run(node.ready().sip.udp)?;
    control.wait_for_cdrs(20);
    // What is made at control counts at the node at once, and nothing is made here.
    let user = json!({
        "account": control.platform.rest().account()?,
        "name": "carol",
        "password": "carol's own secret",
    });
    control.platform.rest().create("/v1/users", &user)?;
    wait_for("carol at the node", || {
        let users = node.rest().list("/v1/users").ok()?;
        users
            .iter()
            .any(|user| user["name"] == "carol")
            .then_some(())
    });
    let (status, problem) = node.rest().send("POST", "/v1/users", Some(&user))?;
    assert_eq!((status, &problem["code"]), (409, &json!("elsewhere")));
    let wanted = control.health("berlin")["wanted_revision"].clone();
    wait_for("the newest revision at the node", || {
        let has = control.health("berlin")["report"]["revision"].clone();
        (has == wanted).then_some(())
    });
    Ok(())
}

#[test]
fn a_token_is_good_once_and_not_for_ever() -> Result<()> {
    let control = Control::start()?;
    let token = control.token(&["--name", "once"])?;
    let directory = tempfile::tempdir()?;
    join(directory.path(), &control.address(), &token)?;
    let again = refusal(&control.address(), &token)?;
    assert!(again.contains("used"), "{again}");
    wait_for_log(&control.platform, "a machine was not let in");
    // Into a node's own directory nobody joins by mistake.
    let other = control.token(&["--name", "other"])?;
    let there = join(directory.path(), &control.address(), &other);
    let there = there.expect_err("it is a node's").to_string();
    assert!(there.contains("joined a platform already"), "{there}");

    let short = control.token(&["--name", "short", "--valid", "1s"])?;
    let tokens = control.platform.rest().list("/v1/join-tokens")?;
    let short_lived = tokens.iter().find(|token| token["name"] == "short");
    let end_us = short_lived.and_then(|t| t["expires_us"].as_u64());
    let end_us = end_us.context("no token called short")?;
    wait_for("the token to expire", || {
        let since = std::time::UNIX_EPOCH.elapsed().ok()?;
        (since.as_micros() > end_us.into()).then_some(())
    });
    let expired = refusal(&control.address(), &short)?;
    assert!(expired.contains("the token expired"), "{expired}");
    Ok(())
}

/// Whoever answers in control's place has another authority: the secret is not shown to it.
#[test]
fn a_token_is_shown_to_nobody_but_the_platform_it_is_of() -> Result<()> {
    let (control, other) = (Control::start()?, Control::start()?);
    let token = control.token(&["--name", "prey"])?;
    let refused = refusal(&other.address(), &token)?;
    assert!(
        refused.contains("not the control of this platform"),
        "{refused}"
    );
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    wait_for_log(&other.platform, "UnknownCA");
    // The token is as good as before.
    let directory = tempfile::tempdir()?;
    join(directory.path(), &control.address(), &token)
}

/// The identity of a node that has joined, to be tampered with.
fn identity(control: &Control, name: &str, directory: &Path) -> Result<Identity> {
    let token = control.token(&["--name", name])?;
    join(directory, &control.address(), &token)?;
    Identity::read(&directory.join("node.json"))?.context("no identity")
}

#[test]
fn an_expired_certificate_is_refused_and_both_sides_say_why() -> Result<()> {
    let control = Control::start()?;
    let directory = tempfile::tempdir()?;
    let identity = identity(&control, "old", directory.path())?;
    let authority = Authority::open(&control.platform.data().join("authority"), 0)?;
    let request = SigningRequest::new()?;
    let minute_us = 60_000_000;
    let then_us = identity.issued_us - 60 * minute_us;
    let valid = std::time::Duration::from_secs(60);
    let issued = authority.issue(&request.der, (&identity.server, ""), then_us, valid)?;
    // Believed to be good by the node itself, which so does not ask for another first.
    let span = (identity.issued_us, identity.expires_us);
    let expired = identity.renewed(&request, &issued.certificate, span);
    expired.write(&directory.path().join("node.json"))?;
    let node = start(directory.path())?;
    wait_for_log(&node, "CertificateExpired");
    wait_for_log(&control.platform, "a node's line was refused");
    wait_for_log(&control.platform, "certificate expired");
    let health = control.health("old");
    assert_eq!(health["state"], "unreachable");
    assert_eq!(health["report"], Value::Null, "what is not known is not 0");
    Ok(())
}

#[test]
fn a_certificate_of_another_platform_is_refused_and_both_sides_say_why() -> Result<()> {
    let (control, other) = (Control::start()?, Control::start()?);
    let directory = tempfile::tempdir()?;
    let identity = identity(&control, "stranger", directory.path())?;
    let authority = Authority::open(&other.platform.data().join("authority"), 0)?;
    let request = SigningRequest::new()?;
    let valid = std::time::Duration::from_secs(3_600);
    let now_us = identity.issued_us;
    let issued = authority.issue(&request.der, (&identity.server, ""), now_us, valid)?;
    let span = (now_us, issued.expires_us);
    let strange = identity.renewed(&request, &issued.certificate, span);
    strange.write(&directory.path().join("node.json"))?;
    let node = start(directory.path())?;
    wait_for_log(&node, "UnknownCA");
    wait_for_log(&control.platform, "UnknownIssuer");
    Ok(())
}

#[test]
fn a_revoked_node_is_cut_off_at_once_and_joins_again_with_a_new_token() -> Result<()> {
    let control = Control::start()?;
    let before = tempfile::tempdir()?;
    join(
        before.path(),
        &control.address(),
        &control.token(&["--name", "lost"])?,
    )?;
    let node = start(before.path())?;
    control.wait_for_state("lost", "up");
    let output = control
        .platform
        .command_line(&["--yes", "server", "revoke", "lost"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    control.wait_for_state("lost", "revoked");
    wait_for_log(&node, "the certificate was revoked");
    wait_for_log(&control.platform, "a node was refused");
    drop(node);

    let token = control.token(&["--server", "lost"])?;
    let directory = tempfile::tempdir()?;
    join(directory.path(), &control.address(), &token)?;
    let _node = start(directory.path())?;
    control.wait_for_state("lost", "up");
    let servers = control.platform.rest().list("/v1/servers")?;
    assert_eq!(servers.len(), 2, "the same server as before, and control");
    // Whoever has the old disk is no node for that.
    let old = start(before.path())?;
    wait_for_log(&old, "another machine has joined as this server");
    assert_eq!(control.health("lost")["state"], "up");
    Ok(())
}

#[test]
fn a_node_begins_anew_when_control_says_so() -> Result<()> {
    let control = Control::start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    control.route_to(&callee)?;
    let node = control.node("anew")?;
    let before = control.wait_for_state("anew", "up");
    let output = control
        .platform
        .command_line(&["--yes", "server", "restart", "anew"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stderr.contains("it is back"), "{}", output.stderr);
    let after = control.wait_for_state("anew", "up");
    assert_ne!(
        before["report"]["started_us"],
        after["report"]["started_us"]
    );
    let udp = after["report"]["listeners"].as_array();
    let udp = udp.and_then(|all| all.iter().find(|l| l["transport"] == "udp"));
    let udp = udp.and_then(|l| l["address"].as_str()).context("no UDP")?;
    caller(5)?.run(udp.parse()?)?;
    control.wait_for_cdrs(5);
    // The same process: who watches over it saw no end.
    drop(node);
    control.wait_for_state("anew", "unreachable");
    let own = control.own_server()?;
    let refused = control.platform.rest();
    let path = format!("/v1/servers/{own}/restart");
    let (status, problem) = refused.send("POST", &path, None)?;
    assert_eq!((status, &problem["code"]), (409, &json!("elsewhere")));
    Ok(())
}

#[test]
fn a_node_asks_for_another_certificate_before_its_own_expires() -> Result<()> {
    let control = Control::start()?;
    let directory = tempfile::tempdir()?;
    let identity = identity(&control, "renewed", directory.path())?;
    // As if two thirds of its time had passed.
    let day_us = 86_400_000_000;
    let text = serde_json::to_string(&identity)?;
    let mut older: Value = serde_json::from_str(&text)?;
    older["issued_us"] = json!(identity.issued_us - 60 * day_us);
    std::fs::write(directory.path().join("node.json"), older.to_string())?;
    let before = control.platform.rest().list("/v1/servers")?;
    let node = start(directory.path())?;
    wait_for_log(&node, "this node has another certificate");
    control.wait_for_state("renewed", "up");
    let after = control.platform.rest().list("/v1/servers")?;
    let serial = |servers: &[Value]| {
        let found = servers.iter().find(|server| server["name"] == "renewed");
        found.map(|server| server["certificate"]["serial"].clone())
    };
    assert_ne!(serial(&before), serial(&after));
    let kept = Identity::read(&node.data().join("node.json"))?.context("no identity")?;
    assert!(kept.renew_at_us() > kept.issued_us);
    Ok(())
}

#[test]
fn a_node_goes_on_without_control_and_loses_no_record_whoever_is_killed() -> Result<()> {
    let mut control = Control::start()?;
    let callee = Sipp::new("uas")?.calls(10_000, 100, 10_000).start()?;
    control.route_to(&callee)?;
    let mut node = control.node("far")?;
    let sip = node.ready().sip.udp;
    control.wait_for_state("far", "up");

    // Control is killed while records are on their way, and comes back; so is the node.
    let callers = caller(200)?.start_towards(sip)?;
    wait_for("some records", || {
        let all = control.platform.rest().list("/v1/cdrs?limit=500").ok()?;
        (!all.is_empty()).then_some(())
    });
    control.platform.kill_9();
    assert_eq!(callers.finish()?.succeeded, 200);
    register_at(&node, &control)?;
    // It starts again from its disk, and takes calls.
    node.kill_9();
    node.restart()?;
    caller(30)?.run(node.ready().sip.udp)?;
    register_at(&node, &control)?;
    control.platform.restart()?;
    control.wait_for_state("far", "up");
    control.wait_for_cdrs(230);
    // What changed meanwhile is told.
    let rest = control.platform.rest();
    rest.change("/v1/settings", &json!({ "ring_timeout_s": 33 }))?;
    wait_for("the changed settings at the node", || {
        let settings = node.rest().read("/v1/settings").ok()?;
        (settings["ring_timeout_s"] == 33).then_some(())
    });
    Ok(())
}

#[test]
fn a_server_is_drained_with_its_calls_counted_down_and_takes_calls_again() -> Result<()> {
    let control = Control::start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    control.route_to(&callee)?;
    let node = control.node("drained")?;
    let sip = node.ready().sip.udp;
    control.wait_for_state("drained", "up");
    let talkers = Sipp::new("uac")?
        .service("493012345")
        .set("TALK_MS", "15000")
        .calls(10, 50, 10)
        .start_towards(sip)?;
    wait_for("ten calls", || {
        (control.health("drained")["report"]["channels"] == 10).then_some(())
    });
    let rest = control.platform.rest();
    let server = control.health("drained")["server"].clone();
    let server = server.as_str().context("no server")?;
    let task = rest.create(&format!("/v1/servers/{server}/drain"), &json!({}))?;
    assert_eq!(task["state"], "running");
    let path = format!("/v1/tasks/{}", task["id"].as_str().context("no task")?);
    wait_for("ten calls to be counted", || {
        let task = rest.read(&path).ok()?;
        (task["calls_at_first"] == 10).then_some(())
    });
    assert_eq!(control.health("drained")["state"], "draining");
    // Whoever calls now is sent elsewhere; who asks is told the same.
    let peer = Peer::new(sip)?;
    let options = peer.request("OPTIONS", &format!("sip:{sip}"), &[], "");
    peer.send(&options)?;
    peer.expect_status(503, "OPTIONS");
    let invite = peer.request("INVITE", &format!("sip:493012345@{sip}"), &[], "");
    peer.send(&invite)?;
    peer.expect_status(503, "INVITE");
    assert_eq!(talkers.finish()?.succeeded, 10, "calls under way go on");
    let done = wait_for("the drain to be done", || {
        Some(rest.read(&path).ok()?).filter(|task| task["state"] == "done")
    });
    assert_eq!(done["calls_left"], 0);
    control.wait_for_state("drained", "drained");

    let output = control
        .platform
        .command_line(&["server", "resume", "drained"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    control.wait_for_state("drained", "up");
    caller(5)?.run(sip)?;
    let audit = rest.list("/v1/audit?limit=50")?;
    let drained = audit
        .iter()
        .any(|entry| entry["kind"] == "server" && entry["after"]["draining"] == true);
    assert!(drained, "{audit:?}");
    Ok(())
}

#[test]
fn a_server_is_resized_under_load_and_no_call_drops() -> Result<()> {
    let control = Control::start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    control.route_to(&callee)?;
    let node = control.node("sized")?;
    control.wait_for_state("sized", "up");
    let resize = |channels: &str| -> Result<()> {
        let words = ["server", "resize", "sized", "--channels", channels];
        let output = control.platform.command_line(&words)?;
        assert_eq!(output.code, 0, "{}", output.stderr);
        Ok(())
    };
    resize("1000")?;
    let callers = Sipp::new("uac")?
        .service("493012345")
        .set("TALK_MS", "2000")
        .calls(150, 30, 150)
        .start_towards(node.ready().sip.udp)?;
    wait_for("calls under way", || {
        let channels = control.health("sized")["report"]["channels"].as_u64()?;
        (channels >= 20).then_some(())
    });
    resize("1001")?;
    let report = control.health("sized")["report"].clone();
    assert_eq!(report["channels_limit"], 1_001);
    assert!(report["channels_peak"].as_u64() >= Some(20), "{report}");
    assert_eq!(callers.finish()?.succeeded, 150);
    // It is the node that counts: with none allowed the next call is one too many.
    resize("0")?;
    let peer = Peer::new(node.ready().sip.udp)?;
    let to = format!("sip:493012345@{}", node.ready().sip.udp);
    peer.send(peer.request("INVITE", &to, &[], ""))?;
    peer.expect_status(503, "INVITE");
    Ok(())
}
