//! The control panel in a browser: signing in, calls, records, and a picture of each page.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::{
    Authority, Baresip, Dispatcher, GatewaySpec, MediaServer, PanelTests, Platform,
    PlatformOptions, Rest, Sipp, ports, wait_for_within,
};

const ALICE_HZ: u32 = 440;
/// A browser is slow beside other tests.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(170);

/// All pages one after the other take it long.
const PATIENCE_WITH_ALL: std::time::Duration = std::time::Duration::from_secs(460);

/// Where what a run leaves is to be looked at.
fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/panel-pictures")
        .join(name)
}

/// Runs the tests of one file at a platform.
fn run(platform: &Platform, file: &str) -> Result<()> {
    run_within(PATIENCE, platform, file)
}

fn run_within(patience: std::time::Duration, platform: &Platform, file: &str) -> Result<()> {
    let mut tests = PanelTests::start(platform, file, &directory(file))?;
    wait_for_within(patience, file, || tests.passed().then_some(()));
    Ok(())
}

#[test]
fn signing_in_and_out() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "sign_in.spec.ts")
}

#[test]
fn calls_come_and_go_on_the_page() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let mut alice = Baresip::register(platform.phone("alice", ALICE_HZ))?;
    platform.wait_for_routable(1);
    let file = "calls.spec.ts";
    let mut tests = PanelTests::start(&platform, file, &directory(file))?;
    let echo = format!("sip:600@{}", platform.ready().domain);
    wait_for_within(PATIENCE, file, || {
        if tests.wishes("dial") {
            alice.dial(&echo).ok()?;
        }
        if tests.wishes("hang up") {
            alice.hang_up().ok()?;
        }
        tests.passed().then_some(())
    });
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn graphs_begin_before_the_page_was_opened() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    let rest = platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
    let sipp = Sipp::new("uac")?.service("493012345").set("TALK_MS", "50");
    sipp.calls(7, 50, 7).run(platform.ready().sip.udp)?;
    platform.wait_until_idle();
    wait_for_within(PATIENCE, "the calls in the history", || {
        let (_, history) = rest.send("GET", "/v1/history", None).ok()?;
        let attempts = history["figures"]["attempts"].as_array()?;
        let sum: f64 = attempts.iter().filter_map(serde_json::Value::as_f64).sum();
        (sum == 7.0).then_some(())
    });
    run(&platform, "history.spec.ts")
}

#[test]
fn records_are_made_changed_and_deleted() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "records.spec.ts")
}

#[test]
fn changes_are_prepared_in_a_draft_applied_and_rolled_back() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "drafts.spec.ts")
}

#[test]
fn every_page_is_whole_on_a_desk() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "desk.spec.ts")
}

#[test]
fn every_page_is_whole_on_a_phone() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "phone.spec.ts")
}

#[test]
fn every_control_has_a_name() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "names.spec.ts")
}

#[test]
fn every_page_can_be_used_by_who_does_not_see_it() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run_within(PATIENCE_WITH_ALL, &platform, "access.spec.ts")
}

#[test]
fn every_page_can_be_read_in_the_dark() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run_within(PATIENCE_WITH_ALL, &platform, "contrast.spec.ts")
}

#[test]
fn pages_come_one_by_one_and_survive_an_upgrade_and_a_silent_platform() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "shell.spec.ts")
}

#[test]
fn names_on_the_map_do_not_overlap() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "labels.spec.ts")
}

#[test]
fn zones_are_made_by_keyboard_filled_measured_and_renamed() -> Result<()> {
    let port = ports::one();
    let platform = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"))
        .argument("--node-port")
        .argument(&port.to_string())
        .start()?;
    let wanted = json!({ "name": "bonn", "valid_s": 600 });
    let (_, made) = platform
        .rest()
        .send("POST", "/v1/join-tokens", Some(&wanted))?;
    let token = made["token"].as_str().context("no token")?;
    let _node = join(&format!("127.0.0.1:{port}"), token)?;
    run(&platform, "zones.spec.ts")
}

#[test]
fn certificates_are_uploaded_and_shown() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    // The port of the challenges is not to be one that only root may have.
    let acme = json!({ "acme": { "http_port": ports::one() } });
    platform.rest().change("/v1/settings", &acme)?;
    let authority = Authority::new("operator")?;
    let (one, other) = (
        authority.issue(&["sip.operator.example"])?,
        authority.issue(&["other.example"])?,
    );
    let file = "certificates.spec.ts";
    let place = directory(file);
    std::fs::create_dir_all(&place)?;
    std::fs::write(place.join("chain.pem"), one.certificate)?;
    std::fs::write(place.join("key.pem"), one.key)?;
    std::fs::write(place.join("other-key.pem"), other.key)?;
    run(&platform, file)
}

/// A machine joins with the token that the page has shown, and takes calls.
fn join(control: &str, token: &str) -> Result<Platform> {
    let directory = tempfile::tempdir()?;
    let joined = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .arg("--data")
        .arg(directory.path())
        .args(["node", "join", control, token])
        .output()?;
    anyhow::ensure!(joined.status.success(), "{joined:?}");
    let mut options = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"));
    for name in ["node.json", "snapshot.json", "cluster.key"] {
        options = options.data_file(name, &std::fs::read(directory.path().join(name))?);
    }
    options.start()
}

#[test]
fn a_second_machine_is_enrolled_resized_and_drained() -> Result<()> {
    let port = ports::one();
    let platform = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"))
        .argument("--node-port")
        .argument(&port.to_string())
        .start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    let rest = platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
    let file = "servers.spec.ts";
    let place = directory(file);
    let mut tests = PanelTests::start(&platform, file, &place)?;
    let (mut node, mut callers): (Option<Platform>, Option<Sipp>) = (None, None);
    wait_for_within(PATIENCE, file, || {
        if tests.wishes("join") {
            let token = std::fs::read_to_string(place.join("token")).ok()?;
            node = join(&format!("127.0.0.1:{port}"), &token).ok();
        }
        if tests.wishes("call") {
            let sipp = Sipp::new("uac").ok()?.service("493012345");
            // They go on until the page has seen enough of them.
            let sipp = sipp.set("TALK_MS", "170000").calls(20, 50, 20);
            let towards = node.as_ref()?.ready().sip.udp;
            callers = sipp.start_towards(towards).ok();
        }
        if tests.wishes("hang up") {
            end_all(&node.as_ref()?.rest()).ok()?;
        }
        tests.passed().then_some(())
    });
    assert!(callers.is_some(), "the page asked for calls");
    Ok(())
}

/// A machine joins in a role; its directory.
fn joined(platform: &Platform, (name, role): (&str, &str), port: u16) -> Result<tempfile::TempDir> {
    let token = json!({ "name": name, "role": role });
    let made = platform.rest().create("/v1/join-tokens", &token)?;
    let directory = tempfile::tempdir()?;
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .arg("--data")
        .arg(directory.path())
        .args(["node", "join", &format!("127.0.0.1:{port}")])
        .arg(made["token"].as_str().unwrap_or_default())
        .output()?;
    anyhow::ensure!(output.status.success(), "{output:?}");
    Ok(directory)
}

#[test]
fn messages_of_a_call_are_drawn_from_all_machines() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_tandem");
    let port = ports::one();
    let platform = PlatformOptions::new(binary)
        .argument("--node-port")
        .argument(&port.to_string())
        .start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    let rest = platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    rest.add_carrier("", &[GatewaySpec::at(callee.address())], &json!({}))?;
    let edge = joined(&platform, ("edge", "dispatcher"), port)?;
    let target = format!("--target=here=udp:{}", platform.ready().sip.udp);
    let dispatcher = Dispatcher::start_with(edge.path(), binary, &[&target])?;
    let caller = Sipp::new("uac")?.service("493012345");
    let caller = caller.set("TALK_MS", "600000").calls(1, 1, 1);
    let _caller = caller.start_towards(dispatcher.sip().udp)?;
    wait_for_within(PATIENCE, "the call", || {
        let all = rest.list("/v1/calls?state=answered").ok()?;
        (all.len() == 1).then_some(())
    });
    run(&platform, "traces.spec.ts")
}

#[test]
fn dispatchers_and_media_servers_are_seen_and_drained() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_tandem");
    let port = ports::one();
    let platform = PlatformOptions::new(binary)
        .argument("--node-port")
        .argument(&port.to_string())
        .start()?;
    let target = || {
        let sipp = Sipp::new("uas")?.set("WAIT_MS", "120000").flag("-aa");
        sipp.calls(1_000, 100, 1_000).start()
    };
    let (a, b) = (target()?, target()?);
    let targets = [("amsterdam", &a), ("berlin", &b)]
        .map(|(n, t)| format!("--target={n}=udp:{}", t.address()));
    let edge = joined(&platform, ("edge", "dispatcher"), port)?;
    let arguments = [targets[0].as_str(), &targets[1]];
    let dispatcher = Dispatcher::start_with(edge.path(), binary, &arguments)?;
    let media = joined(&platform, ("rtp-1", "media"), port)?;
    let data = media.path().to_string_lossy().into_owned();
    let _media = MediaServer::start(binary, &["--data", &data, "--alias", "mini-fs"])?;
    let file = "dispatchers.spec.ts";
    let mut tests = PanelTests::start(&platform, file, &directory(file))?;
    let mut callers: Option<Sipp> = None;
    wait_for_within(PATIENCE, file, || {
        if tests.wishes("call") {
            // Long enough for the page to see them, and their end.
            let sipp = Sipp::new("uac").ok()?.set("TALK_MS", "45000");
            let towards = dispatcher.sip().udp;
            callers = sipp.calls(20, 50, 20).start_towards(towards).ok();
        }
        tests.passed().then_some(())
    });
    assert!(callers.is_some(), "the page asked for calls");
    Ok(())
}

/// Ends all calls of a node.
fn end_all(node: &Rest) -> Result<()> {
    for call in node.list("/v1/calls")? {
        let id = call["id"].as_str().unwrap_or_default();
        node.send("POST", &format!("/v1/calls/{id}/hangup"), None)?;
    }
    Ok(())
}
