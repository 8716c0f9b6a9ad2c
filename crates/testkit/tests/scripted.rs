//! The scenarios of `tests/sipp` work: each caller against the callee that fits it, with
//! nothing between them. What fails through the platform is then the platform's doing.

use anyhow::Result;
use testkit::{Kamailio, Sipp};

/// Runs a caller against a callee; both must go through their scenarios.
fn pair(caller: Sipp, callee: Sipp) -> Result<()> {
    let callee = callee.start()?;
    caller.run(callee.address())?;
    let counts = callee.finish()?;
    assert!(counts.succeeded > 0, "{counts:?}");
    Ok(())
}

#[test]
fn a_registration_with_digest() -> Result<()> {
    let kamailio = Kamailio::registrar("example.com", "secret")?;
    let counts = Sipp::new("register")?
        .set("DOMAIN", "example.com")
        .service("alice")
        .credentials("alice", "secret")
        .run(kamailio.address())?;
    assert_eq!(counts.succeeded, 1);
    Ok(())
}

#[test]
fn answered_calls_many_at_a_time() -> Result<()> {
    let caller = Sipp::new("uac")?.calls(50, 50, 50);
    pair(caller, Sipp::new("uas")?.calls(50, 50, 50))
}

#[test]
fn answered_calls_over_tcp() -> Result<()> {
    pair(Sipp::new("uac")?.over_tcp(), Sipp::new("uas")?.over_tcp())
}

#[test]
fn a_call_with_audio_both_ways() -> Result<()> {
    pair(Sipp::new("uac_media")?, Sipp::new("uas_media")?)
}

#[test]
fn a_late_offer() -> Result<()> {
    pair(Sipp::new("uac_late_offer")?, Sipp::new("uas")?)
}

#[test]
fn early_media() -> Result<()> {
    pair(Sipp::new("uac")?, Sipp::new("uas_early_media")?)
}

#[test]
fn the_callee_hangs_up() -> Result<()> {
    pair(Sipp::new("uac_remote_bye")?, Sipp::new("uas_bye")?)
}

#[test]
fn the_caller_gives_up() -> Result<()> {
    pair(Sipp::new("uac_cancel")?, Sipp::new("uas_no_answer")?)
}

#[test]
fn a_refusal_with_a_header_of_its_own() -> Result<()> {
    let callee = Sipp::new("uas_refuse")?
        .set("STATUS", "503")
        .header("Retry-After: 5");
    pair(Sipp::new("uac_refused")?.set("STATUS", "503"), callee)
}

#[test]
fn hold_and_resume() -> Result<()> {
    pair(Sipp::new("uac_hold")?, Sipp::new("uas_reinvited")?)
}

#[test]
fn reliable_ringing() -> Result<()> {
    pair(Sipp::new("uac_prack")?, Sipp::new("uas_prack")?)
}

#[test]
fn an_update_within_the_call() -> Result<()> {
    pair(Sipp::new("uac_update")?, Sipp::new("uas_updated")?)
}
