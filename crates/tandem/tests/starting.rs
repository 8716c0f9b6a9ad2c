//! What a start says and makes, and what signals change.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
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
fn half_a_pair_of_an_operator_stops_the_start_and_stays_and_half_of_ours_does_not() -> Result<()> {
    let mut platform = platform()?;
    let tls = platform.data().join("tls");
    let (certificate, key) = (tls.join("certificate.pem"), tls.join("key.pem"));
    fs::remove_file(&certificate)?;
    platform.restart()?;
    assert!(certificate.exists(), "our own is made anew");

    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
        ])
        .arg(&key)
        .output()
        .context("starting openssl")?;
    assert!(made.status.success());
    let theirs = fs::read_to_string(&key)?;
    fs::remove_file(&certificate)?;
    let refused = platform.restart().err().context("it must not start")?;
    let words = format!("{refused:#}");
    assert!(words.contains("tls/key.pem is there without"), "{words}");
    assert_eq!(fs::read_to_string(&key)?, theirs);
    Ok(())
}

#[test]
fn the_data_directory_is_private_all_the_way_down() -> Result<()> {
    let mut platform = platform()?;
    let modes = |platform: &Platform| -> Result<Vec<u32>> {
        let mode = |name: &str| -> Result<u32> {
            let metadata = fs::metadata(platform.data().join(name))?;
            Ok(metadata.permissions().mode() & 0o777)
        };
        ["journal", "tls"].into_iter().map(mode).collect()
    };
    assert_eq!(modes(&platform)?, [0o700, 0o700]);
    for name in ["journal", "tls"] {
        let path = platform.data().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    platform.restart()?;
    assert_eq!(modes(&platform)?, [0o700, 0o700]);
    Ok(())
}

#[test]
fn listeners_added_at_once_get_numbers_of_their_own() -> Result<()> {
    const COUNT: usize = 8;
    let platform = platform()?;
    let first = testkit::ports::run_of(COUNT as u16);
    let added: Vec<Result<Value>> = std::thread::scope(|scope| {
        let add = |place: usize| {
            let address = format!("127.0.0.1:{}", usize::from(first) + place);
            let listener = json!({ "transport": "udp", "address": address });
            let rest = platform.rest();
            scope.spawn(move || rest.create("/v1/listeners", &listener))
        };
        let threads: Vec<_> = (0..COUNT).map(add).collect();
        threads.into_iter().filter_map(|t| t.join().ok()).collect()
    });
    let mut ids = BTreeSet::new();
    for listener in added {
        ids.insert(listener?["id"].to_string());
    }
    assert_eq!(ids.len(), COUNT, "{ids:?}");
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
