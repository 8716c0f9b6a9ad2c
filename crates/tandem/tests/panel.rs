//! The control panel in a browser: signing in, calls, records, and a picture of each page.

use std::path::{Path, PathBuf};

use anyhow::Result;
use testkit::{Baresip, PanelTests, Platform, wait_for_within};

const ALICE_HZ: u32 = 440;
/// A browser is slow beside other tests.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(170);

/// Where what a run leaves is to be looked at.
fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/panel-pictures")
        .join(name)
}

/// Runs the tests of one file at a platform.
fn run(platform: &Platform, file: &str) -> Result<()> {
    let mut tests = PanelTests::start(platform, file, &directory(file))?;
    wait_for_within(PATIENCE, file, || tests.passed().then_some(()));
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
fn records_are_made_changed_and_deleted() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    run(&platform, "records.spec.ts")
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
