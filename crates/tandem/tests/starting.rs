//! What a start says and makes, and what signals change.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::{Platform, wait_for};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn certificate(platform: &Platform) -> String {
    fs::read_to_string(platform.data().join("tls/certificate.pem")).unwrap_or_default()
}

/// Sends SIGHUP, and waits until the certificate was read once more.
fn hang_up(platform: &Platform) -> Result<()> {
    let said = |p: &Platform| p.program().log().matches("was read again").count();
    let before = said(platform);
    let pid = platform.program().pid().to_string();
    Command::new("kill")
        .args(["-HUP", &pid])
        .status()
        .context("sending SIGHUP")?;
    wait_for("the certificate to be read", || {
        (said(platform) > before).then_some(())
    });
    Ok(())
}

#[test]
fn only_passwords_that_still_hold_are_printed() -> Result<()> {
    let mut platform = platform()?;
    let users = platform.rest().list("/v1/users")?;
    let alice = users.iter().find(|u| u["name"] == "alice");
    let id = alice.and_then(|u| u["id"].as_str()).context("alice")?;
    let change = json!({ "password": "another one altogether" });
    platform
        .rest()
        .change(&format!("/v1/users/{id}"), &change)?;
    platform.restart()?;
    let names = |p: &Platform| -> Vec<String> {
        let users = &p.ready().users;
        users.iter().map(|u| u.name.clone()).collect()
    };
    assert_eq!(names(&platform), ["bob"]);
    let settings = json!({ "domain": "calls.example" });
    platform.rest().change("/v1/settings", &settings)?;
    platform.restart()?;
    assert_eq!(names(&platform), [""; 0]);
    Ok(())
}

#[test]
fn a_certificate_of_our_own_follows_the_domain_and_anothers_stays() -> Result<()> {
    let platform = platform()?;
    let first = certificate(&platform);
    hang_up(&platform)?;
    assert_eq!(certificate(&platform), first, "nothing has changed");
    let settings = json!({ "domain": "calls.example" });
    platform.rest().change("/v1/settings", &settings)?;
    hang_up(&platform)?;
    let second = certificate(&platform);
    assert_ne!(second, first);
    // The same in other bytes: as if an operator had put it there.
    let path = platform.data().join("tls/certificate.pem");
    let theirs = format!("subject: calls.example\n{second}");
    fs::write(&path, &theirs)?;
    let settings = json!({ "domain": "other.example" });
    platform.rest().change("/v1/settings", &settings)?;
    hang_up(&platform)?;
    assert_eq!(certificate(&platform), theirs);
    Ok(())
}

#[test]
fn the_log_says_what_was_opened_and_how_it_ended() -> Result<()> {
    let mut platform = platform()?;
    platform.restart()?;
    let log = platform.program().log();
    for wanted in ["msg=starting", "msg=listening", "msg=ready"] {
        assert!(log.contains(wanted), "{wanted} in {log}");
    }
    Ok(())
}
