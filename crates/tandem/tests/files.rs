//! A switch that may open no more files: new calls are refused in time, and those that are up go on.

use std::process::Command;

use anyhow::{Result, ensure};
use testkit::{Baresip, Peer, Platform, wait_for};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
/// Fewer than it has open.
const FEW: &str = "16";

/// How many files the process may have open from now on, while it runs.
fn allow(platform: &Platform, files: &str) -> Result<()> {
    let pid = platform.program().pid().to_string();
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &pid, &format!("--nofile={files}:")]);
    ensure!(prlimit.status()?.success(), "prlimit refuses");
    Ok(())
}

/// As many as it may have open now.
fn allowed(platform: &Platform) -> Result<String> {
    let pid = platform.program().pid().to_string();
    let mut prlimit = Command::new("prlimit");
    prlimit.args([
        "--pid",
        &pid,
        "--nofile",
        "--output",
        "SOFT",
        "--noheadings",
    ]);
    Ok(String::from_utf8(prlimit.output()?.stdout)?
        .trim()
        .to_owned())
}

#[test]
fn a_switch_without_files_refuses_new_calls_and_goes_on_with_those_it_has() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let mut alice = Baresip::register(platform.phone("alice", ALICE_HZ))?;
    let mut bob = Baresip::register(platform.phone("bob", BOB_HZ))?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);

    let before = allowed(&platform)?;
    allow(&platform, FEW)?;
    for _ in 0..3 {
        is_refused(&platform)?;
    }
    // The call that is up may be held and resumed, both are heard, and it ends as others do.
    alice.hold()?;
    alice.resume()?;
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    bob.hang_up()?;
    alice.wait_for_closed();
    let log = platform.program().log();
    assert_eq!(log.matches("LimitNOFILE").count(), 1, "{log}");

    allow(&platform, &before)?;
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    alice.hang_up()?;
    bob.wait_for_closed();
    let cdrs = wait_for("the records of all calls", || {
        let cdrs = platform.rest().list("/v1/cdrs").ok()?;
        (cdrs.len() == 5).then_some(cdrs)
    });
    let answered = cdrs.iter().filter(|cdr| cdr["outcome"] == "answered");
    assert_eq!(answered.count(), 2, "{cdrs:?}");
    Ok(())
}

/// Somebody calls, and is told when to come back.
fn is_refused(platform: &Platform) -> Result<()> {
    let (peer, invite): (Peer, String) = platform.call("alice", "bob")?;
    let refusal = peer.refused(&invite)?;
    assert_eq!(refusal.status(), Some(503), "{refusal:?}");
    let after_s = refusal.header("Retry-After").map(str::parse::<u32>);
    assert!(matches!(after_s, Some(Ok(1..))), "{refusal:?}");
    Ok(())
}
