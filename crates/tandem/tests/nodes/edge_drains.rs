//! A dispatcher that takes nothing new, and what a machine at the edge may not say.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use link::proto::CdrBatch;
use link::{Caller, Identity};
use serde_json::Value;
use testkit::wait_for;

use crate::control::Control;
use crate::edges::{caller, dispatcher, server_of, target, task, wait_for_target};

/// What a dispatcher says to a request from outside of calls, as the check of a virtual address sends it.
pub(crate) fn asked(method: &str, at: SocketAddr) -> Result<String> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let own = socket.local_addr()?;
    let request = format!(
        "{method} sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{port};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:check@{own}>;tag=check\r\nTo: <sip:{at}>\r\n\
         Call-ID: check-{port}\r\nCSeq: 1 {method}\r\nContact: <sip:check@{own}>\r\n\
         Content-Length: 0\r\n\r\n",
        port = own.port(),
    );
    let answer = wait_for(&format!("an answer to {method}"), || {
        socket.send_to(request.as_bytes(), at).ok()?;
        let mut bytes = [0; 2_048];
        let length = socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    });
    Ok(answer)
}

#[track_caller]
fn is_closed(answer: &str) {
    assert!(answer.starts_with("SIP/2.0 503"), "{answer}");
    assert!(answer.contains("Retry-After: "), "{answer}");
}

/// What happened at the machine `edge`, the latest first.
fn events(control: &Control) -> Vec<Value> {
    let all = control.platform.rest().list("/v1/events/recent?limit=500");
    let mut all = all.unwrap_or_default();
    all.retain(|event| event["server_name"] == "edge");
    all
}

fn has_event(control: &Control, name: &str) -> bool {
    events(control).iter().any(|event| event["name"] == name)
}

#[test]
fn a_whole_dispatcher_is_drained_at_control_with_calls_up() -> Result<()> {
    let control = Control::start()?;
    let a = target()?;
    let (dispatcher, _file) = dispatcher(&control, &[("a", &a)])?;
    control.wait_for_state("edge", "up");
    let udp = dispatcher.sip().udp;
    let calls = caller(10, "25000")?.start_towards(udp)?;
    wait_for_target(&control, "a", "with ten calls", |t| t["calls"] == 10);
    assert!(asked("OPTIONS", udp)?.starts_with("SIP/2.0 200"));
    let id = server_of(&control, "edge")?;
    let rest = control.platform.rest();
    let (status, begun) = rest.send("POST", &format!("/v1/servers/{id}/drain"), None)?;
    assert_eq!(status, 202, "{begun}");
    let health = control.wait_for_state("edge", "draining");
    let cause = health["cause"].as_str().context("a cause")?;
    assert!(cause.ends_with("calls go on"), "{cause}");
    is_closed(&asked("OPTIONS", udp)?);
    is_closed(&asked("INVITE", udp)?);
    let (ready, _) = dispatcher.rest().send("GET", "/readyz", None)?;
    assert_eq!(ready, 503);
    wait_for("the calls of the drained dispatcher to be counted", || {
        let task = task(&control, &begun).ok()?;
        (task["calls_at_first"] == 10).then_some(())
    });

    assert_eq!(calls.finish()?.succeeded, 10, "no call was lost");
    control.wait_for_state("edge", "drained");
    wait_for("the drain to be done", || {
        let task = task(&control, &begun).ok()?;
        (task["state"] == "done" && task["calls_left"] == 0).then_some(())
    });
    let output = control
        .platform
        .command_line(&["server", "resume", "edge"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    control.wait_for_state("edge", "up");
    assert_eq!(caller(2, "50")?.run(udp)?.succeeded, 2);
    for name in ["server.draining", "server.drained", "server.resumed"] {
        wait_for(&format!("the event {name}"), || {
            has_event(&control, name).then_some(())
        });
    }
    Ok(())
}

#[test]
fn a_dispatcher_that_drains_does_so_after_a_crash_without_control() -> Result<()> {
    let mut control = Control::start()?;
    let a = target()?;
    let (mut dispatcher, _file) = dispatcher(&control, &[("a", &a)])?;
    control.wait_for_state("edge", "up");
    let words = ["server", "drain", "edge", "--wait"];
    let drained = control.platform.command_line(&words)?;
    assert_eq!(drained.code, 0, "{}", drained.stderr);
    control.platform.kill_9();
    dispatcher.crash_and_restart()?;
    is_closed(&asked("INVITE", dispatcher.sip().udp)?);
    control.platform.restart()?;
    control.wait_for_state("edge", "drained");
    Ok(())
}

#[test]
fn a_target_that_goes_and_comes_back_is_an_event_at_control() -> Result<()> {
    let control = Control::start()?;
    let (a, b) = (target()?, target()?);
    let (_dispatcher, _file) = dispatcher(&control, &[("a", &a), ("b", &b)])?;
    control.wait_for_state("edge", "up");
    drop(a);
    control.wait_for_state("edge", "degraded");
    wait_for("the event of a target that is down", || {
        let all = events(&control);
        let down = all.iter().find(|event| event["name"] == "target.down")?;
        (down["data"]["target"] == "a" && down["data"]["cause"].is_string()).then_some(())
    });
    Ok(())
}

/// Strangers may have taken a machine at the edge over: its certificate is good for its own reports.
#[test]
fn the_certificate_of_a_dispatcher_writes_no_bills() -> Result<()> {
    let control = Control::start()?;
    let directory = control.joined("edge", "dispatcher")?;
    let identity = Identity::read(&directory.path().join("node.json"))?.context("an identity")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let said = runtime.block_on(async {
        let mut line = link::dial(&control.address(), Caller::Node(&identity)).await?;
        let refused = line.ship_cdrs(CdrBatch { cdrs: Vec::new() }).await;
        let refused = refused.err().context("CDRs of a dispatcher were taken")?;
        let events = line.ship_events(link::proto::EventBatch::default()).await;
        ensure!(events.is_err(), "events of a dispatcher were taken");
        Ok::<_, anyhow::Error>(refused.message().to_owned())
    })?;
    assert!(said.contains("dispatcher"), "{said}");
    assert_eq!(
        control.platform.rest().list("/v1/cdrs")?,
        Vec::<Value>::new()
    );
    Ok(())
}

/// The platform's key opens what is sealed in the database: it stays with those that take calls.
#[test]
fn dispatchers_share_a_key_and_it_is_not_the_platforms() -> Result<()> {
    let control = Control::start()?;
    let key = |directory: &Path| std::fs::read(directory.join("cluster.key"));
    let (one, other) = (
        control.joined("edge-1", "dispatcher")?,
        control.joined("edge-2", "dispatcher")?,
    );
    let switch = control.joined("berlin", "switch")?;
    let platforms = key(&control.platform.data())?;
    assert_eq!(key(switch.path())?, platforms);
    let (one, other) = (key(one.path())?, key(other.path())?);
    assert_eq!(one, other, "any reads the routes of the other");
    assert_ne!(one, platforms);
    Ok(())
}
