//! Machines that take no calls themselves: dispatchers and media servers that have joined, seen and
//! steered at control.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Dispatcher, MediaServer, Sipp, wait_for};

use crate::control::{BINARY, Control, start};

/// More calls than any test makes: a target ends with its test.
const MANY: u32 = 100_000;

/// Answers calls, also those that last, and probes.
pub(crate) fn target() -> Result<Sipp> {
    let sipp = Sipp::new("uas")?.set("RING_MS", "20");
    let sipp = sipp.set("WAIT_MS", "60000").flag("-aa");
    sipp.calls(MANY, 1_000, 2_000).start()
}

pub(crate) fn caller(calls: u32, talk_ms: &str) -> Result<Sipp> {
    Ok(Sipp::new("uac")?
        .calls(calls, 100, calls)
        .set("TALK_MS", talk_ms))
}

/// A dispatcher that has joined as `edge`, with targets of its own file, probed often; and where that
/// is, for it is read again whenever control changes the set.
pub(crate) fn dispatcher(
    control: &Control,
    targets: &[(&str, &Sipp)],
) -> Result<(Dispatcher, TempDir)> {
    let directory = control.joined("edge", "dispatcher")?;
    let config = directory.path().join("dispatcher.toml");
    let mut text = "slow_start_s = 0\n[probing]\ninterval_ms = 200\ntimeout_ms = 2000\n".to_owned();
    for (name, sipp) in targets {
        let address = sipp.address();
        text += &format!("[[targets]]\nname = \"{name}\"\naddress = \"udp:{address}\"\n");
    }
    fs::write(&config, text)?;
    let config = config.to_str().context("a path")?.to_owned();
    let dispatcher = Dispatcher::start_with(directory.path(), BINARY, &["--config", &config])?;
    Ok((dispatcher, directory))
}

/// A target as control has heard of it.
fn seen(control: &Control, name: &str) -> Value {
    let targets = control.health("edge")["report"]["dispatcher"]["targets"].clone();
    let mut all = targets.as_array().cloned().unwrap_or_default().into_iter();
    all.find(|target| target["name"] == name)
        .unwrap_or_default()
}

#[track_caller]
pub(crate) fn wait_for_target(
    control: &Control,
    name: &str,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) {
    wait_for(&format!("target {name} {what} at control"), || {
        fits(&seen(control, name)).then_some(())
    });
}

pub(crate) fn server_of(control: &Control, name: &str) -> Result<String> {
    let id = control.health(name)["server"].clone();
    Ok(id.as_str().context("a server")?.to_owned())
}

pub(crate) fn task(control: &Control, task: &Value) -> Result<Value> {
    let id = task["id"].as_str().context("a task")?;
    control.platform.rest().read(&format!("/v1/tasks/{id}"))
}

/// What a machine holds that may stand where strangers reach it.
#[track_caller]
fn holds_nobodys_secrets(data: &Path) -> Result<()> {
    let held: Value = serde_json::from_slice(&fs::read(data.join("snapshot.json"))?)?;
    assert_eq!(held["users"], json!([]), "{held}");
    assert_eq!(held["servers"].as_array().map(Vec::len), Some(1), "{held}");
    Ok(())
}

#[test]
fn a_dispatcher_that_has_joined_shows_its_targets_at_control() -> Result<()> {
    let control = Control::start()?;
    let (a, b) = (target()?, target()?);
    let (dispatcher, _file) = dispatcher(&control, &[("a", &a), ("b", &b)])?;
    let health = control.wait_for_state("edge", "up");
    assert_eq!(health["role"], "dispatcher");
    assert_eq!(health["cause"], "2 of 2 targets take calls");
    let report = &health["report"]["dispatcher"];
    assert_eq!(report["set_by_control"], false, "its own file says");
    assert_eq!(report["set"]["algorithm"], "round-robin");
    let listeners = health["report"]["listeners"].to_string();
    let udp = dispatcher.sip().udp.to_string();
    assert!(listeners.contains(&udp), "{listeners}");
    holds_nobodys_secrets(&dispatcher.directory().join("data"))?;

    let counts = caller(20, "50")?.run(dispatcher.sip().udp)?;
    assert_eq!(counts.succeeded, 20);
    for name in ["a", "b"] {
        wait_for_target(&control, name, "with half of the calls", |target| {
            target["chosen_total"] == 10 && target["share_percent"] == 50.0
        });
        assert!(seen(&control, name)["latency_us"].is_u64(), "it answered");
    }
    drop(a);
    let health = control.wait_for_state("edge", "degraded");
    let cause = health["cause"].as_str().context("a cause")?.to_owned();
    assert!(
        cause.contains("1 of 2 targets take calls; a is down"),
        "{cause}"
    );
    let down = seen(&control, "a");
    assert!(
        down["since_us"].is_u64() && down["last_failure"].is_string(),
        "{down}"
    );
    let words = ["server", "health", "--filter", "role=dispatcher"];
    let table = control.platform.command_line(&words)?;
    assert!(table.stdout.contains("degraded"), "{}", table.stdout);
    let list = control
        .platform
        .rest()
        .list("/v1/server-health?role=media")?;
    assert!(list.is_empty(), "{list:?}");
    drop(dispatcher);
    control.wait_for_state("edge", "unreachable");
    Ok(())
}

#[test]
fn a_target_is_drained_and_weighed_at_control_with_calls_up() -> Result<()> {
    let control = Control::start()?;
    let (a, b) = (target()?, target()?);
    let (dispatcher, _file) = dispatcher(&control, &[("a", &a), ("b", &b)])?;
    control.wait_for_state("edge", "up");
    let calls = caller(10, "25000")?.start_towards(dispatcher.sip().udp)?;
    wait_for_target(&control, "a", "with five calls", |t| t["calls"] == 5);
    let id = server_of(&control, "edge")?;
    let rest = control.platform.rest();
    let begun = rest.send("POST", &format!("/v1/servers/{id}/targets/a/drain"), None)?;
    assert_eq!(begun.0, 202, "{}", begun.1);
    wait_for("the calls of the drained target to be counted", || {
        let task = task(&control, &begun.1).ok()?;
        (task["calls_at_first"] == 5).then_some(())
    });
    wait_for_target(&control, "a", "draining", |t| t["state"] == "draining");
    // It goes on with its five, and gets none of the next.
    let chosen = seen(&control, "a")["chosen_total"].clone();
    assert_eq!(caller(6, "50")?.run(dispatcher.sip().udp)?.succeeded, 6);
    wait_for_target(&control, "b", "with the next calls", |t| {
        t["chosen_total"] == 11
    });
    assert_eq!(seen(&control, "a")["chosen_total"], chosen);
    let health = control.health("edge");
    assert_eq!(health["state"], "up", "what drains was told to: {health}");
    assert_eq!(health["report"]["dispatcher"]["set_by_control"], true);
    let local = dispatcher.command_line(&["target", "resume", "a"])?;
    assert_ne!(local.code, 0);
    assert!(local.stderr.contains("control"), "{}", local.stderr);

    assert_eq!(calls.finish()?.succeeded, 10, "no call was lost");
    wait_for("the drain to be done", || {
        let task = task(&control, &begun.1).ok()?;
        (task["state"] == "done" && task["calls_left"] == 0).then_some(())
    });
    wait_for_target(&control, "a", "drained", |t| t["state"] == "drained");
    for words in [
        ["server", "target", "weight", "edge", "b", "7"].as_slice(),
        &["server", "target", "resume", "edge", "a"],
        &["server", "target", "list", "edge"],
    ] {
        let output = control.platform.command_line(words)?;
        assert_eq!(output.code, 0, "{words:?}: {}", output.stderr);
    }
    wait_for_target(&control, "b", "with another weight", |t| t["weight"] == 7);
    wait_for_target(&control, "a", "up", |t| t["state"] == "up");
    let nobody = rest.send("POST", &format!("/v1/servers/{id}/targets/c/drain"), None)?;
    assert_eq!(nobody.0, 404, "{}", nobody.1);
    Ok(())
}

#[test]
fn a_dispatcher_goes_on_by_controls_word_while_control_is_away() -> Result<()> {
    let mut control = Control::start()?;
    let (a, b) = (target()?, target()?);
    let (mut dispatcher, _file) = dispatcher(&control, &[("a", &a), ("b", &b)])?;
    control.wait_for_state("edge", "up");
    let words = ["server", "target", "drain", "edge", "a", "--wait"];
    let drained = control.platform.command_line(&words)?;
    assert_eq!(drained.code, 0, "{}", drained.stderr);
    control.platform.kill_9();
    dispatcher.crash_and_restart()?;
    assert_eq!(caller(6, "50")?.run(dispatcher.sip().udp)?.succeeded, 6);
    let chosen = |name: &str| dispatcher.target(name)["chosen_total"].clone();
    assert_eq!((chosen("a"), chosen("b")), (json!(0), json!(6)));
    control.platform.restart()?;
    control.wait_for_state("edge", "up");
    wait_for_target(&control, "a", "still drained", |t| t["state"] == "drained");
    Ok(())
}

#[test]
fn a_media_server_that_has_joined_is_seen_and_drained_at_control() -> Result<()> {
    let control = Control::start()?;
    let directory = control.joined("rtp-1", "media")?;
    let data = directory.path().to_str().context("a path")?;
    let arguments = ["--data", data, "--alias", "mini-fs", "--zone", "Germany"];
    let server = MediaServer::start(BINARY, &arguments)?;
    let health = control.wait_for_state("rtp-1", "up");
    assert_eq!(health["role"], "media");
    let media = &health["report"]["media"];
    assert_eq!(media["aliases"], json!(["mini-fs"]));
    assert_eq!(media["zone"], "Germany");
    assert_eq!(media["control"][0], server.control());
    assert_eq!(media["addresses"], json!(["127.0.0.1"]));
    let why = media["kernel_refused"].as_str().context("a reason")?;
    assert!(!why.is_empty(), "loopback is never relayed in the kernel");
    holds_nobodys_secrets(directory.path())?;
    assert!(
        !directory.path().join("cluster.key").exists(),
        "it seals nothing"
    );

    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 40000 RTP/AVP 0\r\n";
    let offer = |call: &str| {
        server.ask(&json!({"command": "offer", "call-id": call, "from-tag": "f", "sdp": sdp}))
    };
    assert_eq!(offer("one")["result"], "ok");
    wait_for("the session at control", || {
        let health = control.health("rtp-1");
        (health["report"]["media"]["sessions"] == 1).then_some(())
    });
    let id = server_of(&control, "rtp-1")?;
    let rest = control.platform.rest();
    let (status, begun) = rest.send("POST", &format!("/v1/servers/{id}/drain"), None)?;
    assert_eq!(status, 202, "{begun}");
    let health = control.wait_for_state("rtp-1", "draining");
    assert_eq!(health["cause"], "one session goes on");
    let refused = offer("two");
    assert_eq!(refused["result"], "error", "no new sessions: {refused}");
    let ended = server.ask(&json!({"command": "delete", "call-id": "one", "from-tag": "f"}));
    assert_eq!(ended["result"], "ok", "{ended}");
    control.wait_for_state("rtp-1", "drained");
    wait_for("the drain to be done", || {
        let task = task(&control, &begun).ok()?;
        (task["state"] == "done").then_some(())
    });
    let words = ["server", "resume", "rtp-1"];
    assert_eq!(control.platform.command_line(&words)?.code, 0);
    control.wait_for_state("rtp-1", "up");
    assert_eq!(offer("three")["result"], "ok");
    Ok(())
}

#[test]
fn a_machine_is_what_it_has_joined_for() -> Result<()> {
    let control = Control::start()?;
    let directory = control.joined("edge", "dispatcher")?;
    let refused = start(directory.path()).err().context("it is no switch")?;
    let refused = format!("{refused:#}");
    assert!(
        refused.contains("start it by `tandem dispatcher`"),
        "{refused}"
    );
    let id = server_of(&control, "edge")?;
    let rest = control.platform.rest();
    let (_, server) = rest.send("GET", &format!("/v1/servers/{id}"), None)?;
    assert_eq!(server["role"], "dispatcher");
    let other = rest.change(&format!("/v1/servers/{id}"), &json!({ "role": "switch" }));
    assert!(other.is_err(), "{other:?}");
    let token = json!({ "server": id, "role": "media" });
    let (status, problem) = rest.send("POST", "/v1/join-tokens", Some(&token))?;
    assert_eq!(status, 422, "{problem}");
    Ok(())
}

#[test]
fn a_drain_goes_on_when_control_is_started_again() -> Result<()> {
    let mut control = Control::start()?;
    let (a, b) = (target()?, target()?);
    let (dispatcher, _file) = dispatcher(&control, &[("a", &a), ("b", &b)])?;
    control.wait_for_state("edge", "up");
    let calls = caller(10, "20000")?.start_towards(dispatcher.sip().udp)?;
    wait_for_target(&control, "a", "with five calls", |t| t["calls"] == 5);
    let id = server_of(&control, "edge")?;
    let path = format!("/v1/servers/{id}/targets/a/drain");
    let begun = control.platform.rest().send("POST", &path, None)?;
    assert_eq!(begun.0, 202, "{}", begun.1);
    wait_for("the calls of the drained target to be counted", || {
        let task = task(&control, &begun.1).ok()?;
        (task["calls_at_first"] == 5).then_some(())
    });
    control.platform.kill_9();
    control.platform.restart()?;
    let again = task(&control, &begun.1)?;
    assert_eq!(again["state"], "running", "{again}");
    assert_eq!(again["title"], "edge: drain the target a");
    let log = again["log"].to_string();
    assert!(log.contains("control was started again"), "{log}");
    assert_eq!(calls.finish()?.succeeded, 10, "no call was lost");
    wait_for("the drain to be done", || {
        let task = task(&control, &begun.1).ok()?;
        (task["state"] == "done" && task["calls_left"] == 0).then_some(())
    });
    Ok(())
}
