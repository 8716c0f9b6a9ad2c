//! A server that may open no more files: calls that are up go on, further ones are told why not.

use anyhow::Result;
use serde_json::json;
use testkit::{MediaServer, wait_for};

use crate::call::Call;
use crate::kernel::behind;

/// As few files as one process may have open, whatever its rights.
const FEW_FILES: &str = "prlimit --nofile=200:200 \
    setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource --";

/// More than so few files carry.
const PORTS: u16 = 160;

#[test]
fn a_server_without_files_refuses_calls_and_keeps_those_it_has() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let binary = behind(directory.path(), FEW_FILES)?;
    let server = MediaServer::with_ports(&binary, PORTS, &[])?;
    let mut call = Call::at(server, &json!({}))?;
    let sdp = call.a.sdp();
    let offer = |number: usize, supports: &[&str]| {
        json!({"command": "offer", "call-id": format!("more-{number}"), "from-tag": "a",
            "sdp": sdp, "supports": supports})
    };
    let taken = (0..100).take_while(|n| call.server.ask(&offer(*n, &[]))["result"] == "ok");
    let taken = taken.count();
    assert!((10..100).contains(&taken), "{taken} calls");
    // A proxy that understands asks another server; an old one knows these words.
    let refused = call.server.ask(&offer(200, &["load limit"]));
    assert_eq!(refused["result"], "load limit", "{refused}");
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.contains("files"), "{refused}");
    let refused = call.server.ask(&offer(200, &[]));
    assert_eq!(refused["error-reason"], "Ran out of ports", "{refused}");
    // The call talks, may be offered anew, and the operator gets in.
    call.assert_heard("voice")?;
    let again = call
        .server
        .ask(&json!({"command": "offer", "call-id": crate::call::CALL_ID,
        "from-tag": "a", "to-tag": "b", "sdp": sdp}));
    assert_eq!(again["result"], "ok", "{again}");
    let health = format!("http://{}/health", call.server.http());
    assert_eq!(ureq::get(&health).call()?.status(), 200);
    // Who ends makes room.
    let ended = json!({"command": "delete", "call-id": "more-0", "from-tag": "a"});
    assert_eq!(call.server.ask(&ended)["result"], "ok");
    wait_for("room", || {
        let answer = call.server.ask(&offer(300, &[]));
        (answer["result"] == "ok").then_some(())
    });
    let log = call.server.program().log();
    assert_eq!(log.matches("LimitNOFILE").count(), 1, "{log}");
    Ok(())
}
