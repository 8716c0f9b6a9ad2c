//! What control shows of a joined server when somebody looks: its log, and who is registered there.

use anyhow::Result;
use serde_json::Value;
use testkit::{Dispatcher, Peer, wait_for};

use crate::control::{BINARY, Control};

fn log(control: &Control, name: &str, query: &str) -> Vec<Value> {
    let id = control.health(name)["server"].clone();
    let path = format!(
        "/v1/servers/{}/log?{query}",
        id.as_str().unwrap_or_default()
    );
    control.platform.rest().list(&path).unwrap_or_default()
}

#[test]
fn the_log_and_the_registrations_of_a_joined_server_are_shown_at_control() -> Result<()> {
    let control = Control::start()?;
    let node = control.node("berlin")?;
    control.wait_for_state("berlin", "up");
    let lines = log(&control, "berlin", "limit=500");
    let said = |text: &str| {
        lines
            .iter()
            .any(|line| line["text"].as_str().unwrap_or("").contains(text))
    };
    assert!(said("the line to control is open"), "{lines:?}");
    assert!(said("listening"), "{lines:?}");
    let newest = lines[0]["number"].as_u64().unwrap_or(0);
    assert_eq!(
        newest,
        lines.len() as u64,
        "the newest first, none left out"
    );
    let errors = log(&control, "berlin", "level=error");
    assert!(
        errors.iter().all(|line| line["level"] == "error"),
        "{errors:?}"
    );
    let found = log(&control, "berlin", "text=THE%20LINE%20TO%20CONTROL");
    assert!(!found.is_empty() && found.len() < lines.len(), "{found:?}");
    let words = ["server", "log", "berlin", "--text", "listening"];
    let table = control.platform.command_line(&words)?;
    assert!(
        table.stdout.contains("listening"),
        "{} {}",
        table.stdout,
        table.stderr
    );

    let phone = Peer::new(node.ready().sip.udp)?;
    let mut ready = node.ready().clone();
    ready.users.clone_from(&control.platform.ready().users);
    let answer = phone.register(&ready, "alice", &["Expires: 600"])?;
    assert_eq!(answer.status(), Some(200), "{answer:?}");
    let list = |words: &[&str]| -> Result<String> {
        let words = [&["registration", "list", "--server", "berlin"], words].concat();
        Ok(control.platform.command_line(&words)?.stdout)
    };
    wait_for("alice at berlin", || {
        list(&[]).ok()?.contains("alice").then_some(())
    });
    assert!(list(&["--text", "ALICE"])?.contains("alice"));
    assert!(!list(&["--text", "nobody-like-that"])?.contains("alice"));
    drop(node);
    control.wait_for_state("berlin", "unreachable");
    let id = control.health("berlin")["server"].clone();
    let path = format!("/v1/servers/{}/log", id.as_str().unwrap_or_default());
    let (status, problem) = control.platform.rest().send("GET", &path, None)?;
    assert_eq!(status, 503, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap_or("")
            .contains("berlin does not answer"),
        "{problem}"
    );
    Ok(())
}

#[test]
fn a_dispatcher_that_has_joined_shows_its_log_and_nobodys_password() -> Result<()> {
    let control = Control::start()?;
    let directory = control.joined("edge", "dispatcher")?;
    let dispatcher = Dispatcher::start_with(directory.path(), BINARY, &[])?;
    control.wait_for_state("edge", "down");
    let lines = log(&control, "edge", "limit=500");
    let text = serde_json::to_string(&lines)?;
    assert!(text.contains("starting a dispatcher"), "{text}");
    assert!(!text.contains("tdj.") && !text.contains("tdm_"), "{text}");
    let id = control.health("edge")["server"].clone();
    let path = format!(
        "/v1/servers/{}/registrations",
        id.as_str().unwrap_or_default()
    );
    let (status, problem) = control.platform.rest().send("GET", &path, None)?;
    assert_eq!(status, 409, "{problem}");
    drop(dispatcher);
    Ok(())
}
