//! The program as the client of a running platform, as operators and scripts use it.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Credentials, GatewaySpec, Peer, Platform, record_path, session};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

/// What can be listed.
const NOUNS: [&str; 18] = [
    "recording",
    "call",
    "registration",
    "cdr",
    "account",
    "user",
    "device",
    "number",
    "customer",
    "carrier",
    "gateway",
    "media-server",
    "route",
    "limit",
    "token",
    "listener",
    "ban",
    "audit",
];

#[test]
fn everything_can_be_listed_in_every_format() -> Result<()> {
    let platform = platform()?;
    for noun in NOUNS {
        for format in ["table", "json", "yaml"] {
            let done = platform.command_line(&[noun, "list", "-o", format])?;
            assert_eq!(done.code, 0, "{noun} {format}: {}", done.stderr);
            if format == "json" {
                let list: Value = serde_json::from_str(&done.stdout)?;
                assert!(
                    list.is_array() || list["items"].is_array(),
                    "{noun}: {list}"
                );
            }
        }
    }
    let table = platform.command_line(&["user", "list"])?.stdout;
    assert!(table.contains("alice") && table.contains("bob"), "{table}");
    Ok(())
}

#[test]
fn records_are_made_shown_changed_and_removed() -> Result<()> {
    let platform = platform()?;
    let run = |words: &[&str]| -> Result<String> {
        let done = platform.command_line(words)?;
        assert_eq!(done.code, 0, "{words:?}: {}", done.stderr);
        Ok(done.stdout)
    };
    let made = run(&["carrier", "create", "--name", "World", "-o", "json"])?;
    let made: Value = serde_json::from_str(&made)?;
    let id = made["id"].as_str().unwrap_or_default();
    assert!(run(&["carrier", "show", id])?.contains("World"));
    run(&["carrier", "update", id, "--name", "Universe"])?;
    assert!(run(&["carrier", "list"])?.contains("Universe"));
    run(&["carrier", "delete", id, "--yes"])?;
    assert!(!run(&["carrier", "list"])?.contains("Universe"));
    assert!(run(&["settings", "show"])?.contains("tandem.local"));
    Ok(())
}

#[test]
fn exit_codes_tell_what_went_wrong() -> Result<()> {
    let mut platform = platform()?;
    let code = |platform: &Platform, words: &[&str]| -> Result<i32> {
        let done = platform.command_line(words)?;
        assert!(!done.stderr.is_empty(), "{words:?} says why");
        Ok(done.code)
    };
    let wrong_words = code(&platform, &["user", "dance"])?;
    let nobody = code(&platform, &["user", "show", "nobody"])?;
    let bad_value = code(&platform, &["account", "create", "--name", "\u{7}"])?;
    let wrong_token = code(&platform, &["user", "list", "--token", "tdm_wrong"])?;
    platform.kill_9();
    let nobody_there = code(&platform, &["user", "list"])?;
    let codes = [wrong_words, nobody, bad_value, wrong_token, nobody_there];
    assert!(codes.iter().all(|code| *code > 0), "{codes:?}");
    assert_eq!(wrong_words, 2, "as clap and most shells have it");
    Ok(())
}

#[test]
fn a_live_call_is_shown_hung_up_and_exported() -> Result<()> {
    let platform = platform()?;
    let ready = platform.ready();
    let phone = Peer::new(ready.sip.udp)?;
    let alice = ready.credentials("alice");
    let uri = format!("sip:600@{}", ready.domain);
    let offer = session("127.0.0.1:40000".parse()?);
    let call = phone.send_with_digest(&alice, "INVITE", &uri, &[], &offer)?;
    let answered = phone.expect_status(200, "INVITE");
    phone.send(phone.ack(&call, &answered))?;

    let list = platform
        .command_line(&["call", "list", "-o", "json"])?
        .stdout;
    let list: Value = serde_json::from_str(&list)?;
    let live = list.get(0).unwrap_or(&list["items"][0]);
    let id = live["id"].as_str().unwrap_or_default();
    let shown = platform.command_line(&["call", "show", id])?;
    assert!(
        shown.stdout.contains("600"),
        "{}{}",
        shown.stdout,
        shown.stderr
    );
    let ended = platform.command_line(&["call", "hangup", id, "--yes"])?;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let bye = phone.expect_request("BYE");
    phone.send(phone.response(&bye, "200 OK", "", &[], ""))?;
    platform.wait_until_idle();
    let cdr = testkit::wait_for("the CDR", || {
        let done = platform.command_line(&["cdr", "export"]).ok()?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        (done.stdout.lines().count() == 2).then_some(done.stdout)
    });
    let mut lines = cdr.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let row: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    assert_eq!(head.len(), row.len(), "{cdr}");
    let column = |name: &str| head.iter().position(|h| *h == name).map(|at| row[at]);
    assert_eq!(column("call"), Some(id), "{cdr}");
    assert_eq!(column("outcome"), Some("answered"), "{cdr}");
    assert_eq!(column("ended_by"), Some("platform"), "{cdr}");
    Ok(())
}

#[test]
fn an_export_that_was_ordered_is_fetched_after_a_crash() -> Result<()> {
    let mut platform = platform()?;
    let order = |platform: &Platform, words: &[&str]| -> Result<String> {
        let words = [&["cdr", "order", "-o", "json"], words].concat();
        let done = platform.command_line(&words)?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        let export: Value = serde_json::from_str(&done.stdout)?;
        Ok(export["id"].as_str().unwrap_or_default().to_owned())
    };
    let (caller, invite) = platform.call("alice", "nobody")?;
    assert_eq!(caller.refused(&invite)?.status(), Some(404));
    testkit::wait_for("the CDR", || {
        let cdrs = platform.rest().list("/v1/cdrs").ok()?;
        (cdrs.len() == 1).then_some(())
    });
    let done = order(&platform, &["--columns", "called,status"])?;
    let fetched = platform.command_line(&["cdr", "fetch", &done])?;
    assert_eq!(fetched.stdout, "called,status\r\nnobody,404\r\n");
    // It may be written before the crash, or after.
    let under_way = order(&platform, &["--outcome", "failed", "--columns", "called"])?;
    platform.kill_9();
    platform.restart()?;
    for (export, text) in [
        (&done, &*fetched.stdout),
        (&under_way, "called\r\nnobody\r\n"),
    ] {
        let again = platform.command_line(&["cdr", "fetch", export])?;
        assert_eq!(again.stdout, text, "{}", again.stderr);
    }
    let dropped = platform.command_line(&["cdr", "drop", &done])?;
    assert_eq!(dropped.code, 0, "{}", dropped.stderr);
    let orders = platform.command_line(&["cdr", "orders"])?.stdout;
    assert!(
        !orders.contains(&done) && orders.contains(&under_way),
        "{orders}"
    );
    let gone = platform.command_line(&["cdr", "fetch", &done])?;
    assert!(
        gone.code > 0 && gone.stderr.contains("there is no export"),
        "{}",
        gone.stderr
    );
    Ok(())
}

#[test]
fn a_route_is_simulated_in_words() -> Result<()> {
    let platform = platform()?;
    let done = platform.command_line(&["route", "simulate", "600", "--user", "alice"])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout.to_lowercase().contains("echo"),
        "{}",
        done.stdout
    );
    Ok(())
}

#[test]
fn a_simulation_says_how_the_caller_is_known() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    rest.add_customer("198.51.100.0/28", &json!({}))?;
    let gateway = "203.0.113.7:5080".parse()?;
    rest.add_carrier("", &[GatewaySpec::at(gateway)], &json!({}))?;
    let path = record_path("gateways", &rest.first("gateways")?);
    rest.change(&path, &json!({ "inbound": true }))?;
    let says = |words: &[&str]| -> Result<String> {
        let done = platform.command_line(&[&["route", "simulate", "4930"], words].concat())?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        Ok(done.stdout)
    };
    let told = says(&["--customer", "customer"])?;
    assert!(told.contains("is in 198.51.100.0/28"), "{told}");
    let at_port = says(&["--source", "203.0.113.7:5080"])?;
    let elsewhere = says(&["--source", "203.0.113.7"])?;
    assert_ne!(at_port, elsewhere, "a gateway is known by its port");
    let wrong = ["route", "simulate", "4930", "--source", "nowhere"];
    let wrong = platform.command_line(&wrong)?;
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("no address"), "{}", wrong.stderr);
    Ok(())
}

#[test]
fn names_stand_beside_identifiers() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let gateway = "203.0.113.7:5080".parse()?;
    rest.add_carrier("49", &[GatewaySpec::at(gateway)], &json!({}))?;
    let health = platform.command_line(&["gateway", "health"])?.stdout;
    assert!(health.contains("203.0.113.7:5080"), "{health}");
    let used = platform.command_line(&["carrier", "delete", "carrier 49", "--yes"])?;
    let named = ["(203.0.113.7:5080)", "(49)"];
    assert!(
        named.iter().any(|name| used.stderr.contains(name)),
        "{}",
        used.stderr
    );
    Ok(())
}

#[test]
fn users_come_from_a_file_all_or_none() -> Result<()> {
    let platform = platform()?;
    let file = platform.data().join("staff.csv");
    let path = file.display().to_string();
    let import = |text: &str, more: &[&str]| -> Result<testkit::CommandOutput> {
        std::fs::write(&file, text)?;
        platform.command_line(&[&["user", "import", &path], more].concat())
    };
    let bad = "name,display_name,password\ncarol,\"Carol, C.\",carols-secret\nalice,,\ndave,,x\n";
    let refused = import(bad, &[])?;
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for line in ["line 3: name", "line 4: password"] {
        assert!(refused.stderr.contains(line), "{}", refused.stderr);
    }
    assert_eq!(platform.rest().list("/v1/users")?.len(), 2);
    let skipped = import(bad, &["--skip-bad"])?;
    assert_eq!(skipped.code, 0, "{}", skipped.stderr);
    assert_eq!(platform.rest().list("/v1/users")?.len(), 3);

    let made = import("name\nerin\nfrank\n", &[])?;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let mut lines = made.stdout.lines();
    assert_eq!(lines.next(), Some("name,password"));
    let (name, password) = lines
        .next()
        .and_then(|l| l.split_once(','))
        .unwrap_or_default();
    assert_eq!(name, "erin");
    let erin = Credentials {
        username: name.to_owned(),
        password: password.to_owned(),
    };
    let phone = Peer::new(platform.ready().sip.udp)?;
    phone.register_with(&platform, &erin)?;
    Ok(())
}

#[test]
fn shells_can_complete_commands() -> Result<()> {
    let platform = platform()?;
    for shell in ["bash", "zsh", "fish"] {
        let done = platform.command_line(&["completion", shell])?;
        assert_eq!(done.code, 0, "{}", done.stderr);
        for noun in NOUNS {
            assert!(done.stdout.contains(noun), "{shell} knows {noun}");
        }
    }
    Ok(())
}

#[test]
fn the_doctor_sees_a_port_that_is_taken() -> Result<()> {
    let platform = platform()?;
    let sip = platform.ready().sip.udp;
    let ours = platform.command_line(&["doctor", "--sip-port", &sip.port().to_string()])?;
    assert!(
        ours.stdout.contains("held by the running tandem"),
        "{}",
        ours.stdout
    );
    let elsewhere = platform.data().join("elsewhere");
    let port = sip.port().to_string();
    let theirs = std::process::Command::new(platform.binary())
        .arg("--data")
        .arg(&elsewhere)
        .args(["doctor", "--bind", "127.0.0.1", "--sip-port", &port])
        .output()?;
    let told = String::from_utf8_lossy(&theirs.stdout);
    let line = told.lines().find(|line| line.contains(&port));
    assert!(
        line.is_some_and(|l| l.starts_with("WARN") && l.contains("another running tandem")),
        "{told}"
    );
    let taken = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let words = ["doctor", "--bind", "127.0.0.1", "--sip-port", &port];
    let sick = platform.command_line(&words)?;
    let line = sick.stdout.lines().find(|line| line.contains(&port));
    assert!(
        line.is_some_and(|l| l.starts_with("FAIL")),
        "{}",
        sick.stdout
    );
    assert_ne!(sick.code, 0, "{}", sick.stdout);
    Ok(())
}
