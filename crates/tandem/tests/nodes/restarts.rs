//! Nodes that begin anew once their calls have ended, and such that are stopped.

use std::net::{SocketAddr, TcpStream, UdpSocket};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{Platform, Sipp, wait_for};

use crate::control::{BINARY, Control, start_program};
use crate::edge_drains::asked;
use crate::edges::{caller, server_of, target, task};

/// A platform whose node `berlin` has calls.
struct Busy {
    control: Control,
    node: Platform,
    berlin: String,
    callers: Option<Sipp>,
    _callee: Sipp,
}

impl Busy {
    /// `calls` that end by themselves after `talk_ms`.
    fn start(calls: u32, talk_ms: &str) -> Result<Self> {
        let control = Control::start()?;
        let callee = target()?;
        control.route_to(&callee)?;
        let node = control.node("berlin")?;
        control.wait_for_state("berlin", "up");
        let berlin = server_of(&control, "berlin")?;
        let callers = caller(calls, talk_ms)?.service("493012345");
        let callers = callers.start_towards(node.ready().sip.udp)?;
        wait_for("answered calls", || {
            let page = node.rest().read("/v1/calls?state=answered").ok()?;
            (page["total"] == calls).then_some(())
        });
        Ok(Self {
            control,
            node,
            berlin,
            callers: Some(callers),
            _callee: callee,
        })
    }

    fn post(&self, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.control.platform.rest().send("POST", path, body)
    }

    /// The task that begins so.
    fn begin(&self, action: &str, wish: &Value) -> Result<Value> {
        let path = format!("/v1/servers/{}/{action}", self.berlin);
        let (status, begun) = self.post(&path, Some(wish))?;
        assert_eq!(status, 202, "{begun}");
        Ok(begun)
    }

    fn wait_for_task(&self, begun: &Value, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("a task {what}"), || {
            task(&self.control, begun).ok().filter(|task| is(task))
        })
    }

    /// When the process of the node began.
    fn process(&self) -> Value {
        self.control.health("berlin")["report"]["started_us"].clone()
    }

    /// Does it by the command line, and waits for it.
    fn command(&self, words: &[&str]) -> Result<()> {
        let output = self.control.platform.command_line(words)?;
        assert_eq!(output.code, 0, "{words:?}: {}", output.stderr);
        Ok(())
    }

    /// Where the node hears SIP over UDP, as control knows it.
    fn udp(&self) -> Result<SocketAddr> {
        let listeners = self.control.health("berlin")["report"]["listeners"].clone();
        let mut all = listeners.as_array().into_iter().flatten();
        let udp = all.find(|listener| listener["transport"] == "udp");
        let address = udp.and_then(|udp| udp["address"].as_str());
        Ok(address.context("no UDP")?.parse()?)
    }

    fn record(&self) -> Result<Value> {
        let path = format!("/v1/servers/{}", self.berlin);
        self.control.platform.rest().read(&path)
    }
}

#[test]
fn a_restart_that_drains_cuts_no_call_though_control_is_started_again() -> Result<()> {
    let mut busy = Busy::start(3, "25000")?;
    let before = busy.process();
    let begun = busy.begin("restart", &json!({ "drain": true }))?;
    busy.control.wait_for_state("berlin", "draining");
    assert!(asked("OPTIONS", busy.node.ready().sip.udp)?.starts_with("SIP/2.0 503"));
    let draining = busy.wait_for_task(&begun, "that counts calls", |t| t["calls_left"] == 3);
    assert_eq!(
        (&draining["state"], &draining["can_cancel"]),
        (&json!("running"), &json!(true)),
        "{draining}"
    );
    let path = format!("/v1/servers/{}/restart", busy.berlin);
    let (status, problem) = busy.post(&path, None)?;
    assert_eq!((status, &problem["code"]), (409, &json!("in-use")));

    busy.control.platform.restart()?;
    busy.control.wait_for_state("berlin", "draining");
    assert_eq!(busy.process(), before, "it waits for its calls");
    let callers = busy.callers.take().context("no callers")?;
    assert_eq!(callers.finish()?.succeeded, 3, "no call was cut");
    let done = busy.wait_for_task(&begun, "that has ended", |t| t["state"] != "running");
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["calls_at_first"], 3, "{done}");
    assert_eq!(done["can_cancel"], false, "{done}");
    busy.control.wait_for_state("berlin", "up");
    assert_ne!(busy.process(), before, "it has begun anew");
    assert_eq!(busy.record()?["draining"], false);
    busy.control.wait_for_cdrs(3);
    for cdr in busy.control.platform.rest().list("/v1/cdrs?limit=500")? {
        assert_eq!(
            (&cdr["outcome"], &cdr["ended_by"]),
            (&json!("answered"), &json!("caller")),
            "{cdr}"
        );
    }
    Ok(())
}

#[test]
fn a_restart_that_is_cancelled_while_it_drains_leaves_server_and_call_as_they_were() -> Result<()> {
    let busy = Busy::start(1, "600000")?;
    let before = busy.process();
    let begun = busy.begin("restart", &json!({ "drain": true }))?;
    busy.wait_for_task(&begun, "that counts calls", |t| t["calls_left"] == 1);
    let id = begun["id"].as_str().context("no task")?;
    let output = busy
        .control
        .platform
        .command_line(&["task", "cancel", id])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    busy.control.wait_for_state("berlin", "up");
    assert!(asked("OPTIONS", busy.node.ready().sip.udp)?.starts_with("SIP/2.0 200"));
    assert_eq!(task(&busy.control, &begun)?["state"], "cancelled");
    assert_eq!(busy.record()?["draining"], false);
    assert_eq!(busy.process(), before);
    let page = busy.node.rest().read("/v1/calls?state=answered")?;
    assert_eq!(page["total"], 1, "the call goes on");
    let (status, problem) = busy.post(&format!("/v1/tasks/{id}/cancel"), None)?;
    assert_eq!((status, &problem["code"]), (409, &json!("in-use")));
    Ok(())
}

#[test]
fn a_restart_waits_for_calls_no_longer_than_it_is_told() -> Result<()> {
    let busy = Busy::start(2, "600000")?;
    let before = busy.process();
    let begun = busy.begin("restart", &json!({ "drain": true, "longest_wait_s": 1 }))?;
    let done = busy.wait_for_task(&begun, "that has ended", |t| t["state"] != "running");
    assert_eq!(done["state"], "done", "{done}");
    let said = done["log"].to_string();
    assert!(said.contains("calls left: 2; they are ended"), "{said}");
    assert_ne!(busy.process(), before);
    busy.control.wait_for_state("berlin", "up");
    busy.control.wait_for_cdrs(2);
    Ok(())
}

#[test]
fn a_stopped_server_speaks_no_sip_until_it_is_started_over_a_restart_of_its_node() -> Result<()> {
    let busy = Busy::start(2, "600000")?;
    let sip = busy.node.ready().sip;
    busy.command(&["--yes", "server", "stop", "berlin"])?;
    let health = busy.control.wait_for_state("berlin", "stopped");
    let cause = health["cause"].as_str().context("no cause")?;
    assert!(cause.starts_with("stopped by token "), "{cause}");
    assert!(busy.record()?["stopped"]["at_us"].is_u64());
    // Nobody has the sockets: whoever probes it hears nothing.
    drop(UdpSocket::bind(sip.udp).context("the UDP socket of SIP is still there")?);
    assert!(TcpStream::connect(sip.tcp).is_err(), "TCP is still open");
    busy.control.wait_for_cdrs(2);
    assert_eq!(busy.node.rest().list("/v1/calls")?.len(), 0);

    busy.command(&["--yes", "server", "restart", "berlin"])?;
    busy.control.wait_for_state("berlin", "stopped");
    let (status, problem) = busy.post(&format!("/v1/servers/{}/stop", busy.berlin), None)?;
    assert_eq!((status, &problem["code"]), (409, &json!("in-use")));

    busy.command(&["server", "start", "berlin"])?;
    busy.control.wait_for_state("berlin", "up");
    assert_eq!(busy.record()?["stopped"], Value::Null);
    let udp = busy.udp()?;
    assert!(asked("OPTIONS", udp)?.starts_with("SIP/2.0 200"));
    let counts = caller(3, "50")?.service("493012345").run(udp)?;
    assert_eq!(counts.succeeded, 3);
    busy.control.wait_for_cdrs(5);
    Ok(())
}

#[test]
fn a_stop_that_drains_cuts_no_call_and_its_sockets_come_back_where_they_were() -> Result<()> {
    let mut busy = Busy::start(2, "20000")?;
    let udp = busy.node.ready().sip.udp;
    let begun = busy.begin("stop", &json!({ "drain": true }))?;
    busy.control.wait_for_state("berlin", "draining");
    busy.wait_for_task(&begun, "that counts calls", |t| t["calls_left"] == 2);
    let callers = busy.callers.take().context("no callers")?;
    assert_eq!(callers.finish()?.succeeded, 2, "no call was cut");
    let done = busy.wait_for_task(&begun, "that has ended", |t| t["state"] != "running");
    assert_eq!(done["state"], "done", "{done}");
    busy.control.wait_for_state("berlin", "stopped");
    assert_eq!(busy.record()?["draining"], false, "started, it takes calls");
    busy.command(&["server", "start", "berlin"])?;
    busy.control.wait_for_state("berlin", "up");
    assert!(asked("OPTIONS", udp)?.starts_with("SIP/2.0 200"));
    Ok(())
}

#[test]
fn a_program_that_is_put_on_the_disk_is_pending_until_the_server_is_updated() -> Result<()> {
    let control = Control::start()?;
    let directory = control.joined("berlin", "switch")?;
    let place = directory.path().join("bin");
    std::fs::create_dir(&place)?;
    let program = place.join("tandem");
    std::fs::copy(BINARY, &program)?;
    let path = program.to_str().context("a path")?;
    let node = start_program(path, directory.path())?;
    control.wait_for_state("berlin", "up");
    let rest = control.platform.rest();
    let path = format!("/v1/servers/{}/update", server_of(&control, "berlin")?);
    let (status, problem) = rest.send("POST", &path, None)?;
    assert_eq!((status, &problem["code"]), (409, &json!("in-use")));
    let before = control.health("berlin")["report"]["started_us"].clone();

    // As a package does: another file under the same name. Bytes behind its end make another build of it.
    let newer = place.join("tandem.new");
    let mut bytes = std::fs::read(BINARY)?;
    bytes.extend(b"another build");
    std::fs::write(&newer, bytes)?;
    std::fs::set_permissions(&newer, std::fs::metadata(BINARY)?.permissions())?;
    std::fs::rename(&newer, &program)?;
    let update = wait_for("an update to be pending", || {
        let update = control.health("berlin")["report"]["update"].clone();
        update.is_object().then_some(update)
    });
    assert_eq!(update["version"], env!("CARGO_PKG_VERSION"));
    assert_ne!(update["build"], update["running_build"]);

    let output = control
        .platform
        .command_line(&["server", "upgrade", "berlin"])?;
    assert_eq!(output.code, 0, "{}", output.stderr);
    let health = control.wait_for_state("berlin", "up");
    assert_ne!(health["report"]["started_us"], before);
    assert_eq!(health["report"]["update"], Value::Null);
    let (status, _) = rest.send("POST", &path, None)?;
    assert_eq!(status, 409, "nothing is pending any more");
    drop(node);
    Ok(())
}
