//! Customers and carriers around the platform, played by sipp.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{GatewaySpec, Peer, Platform, Sipp, SippCounts, session, wait_for};

const LOOPBACK: &str = "127.0.0.1/32";

/// A platform that takes calls from this host, and sends them to these gateways in order.
fn platform(gateways: &[&Sipp], customer: &Value) -> Result<Platform> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    rest.add_customer(LOOPBACK, customer)?;
    let gateways: Vec<GatewaySpec> = (0..)
        .zip(gateways)
        .map(|(priority, gateway)| GatewaySpec {
            address: gateway.address(),
            priority,
        })
        .collect();
    rest.add_carrier("", &gateways, &json!({}))?;
    Ok(platform)
}

/// A customer's call, or several.
fn customer(scenario: &str) -> Result<Sipp> {
    Ok(Sipp::new(scenario)?.service("493012345"))
}

/// One caller's scenario against one callee's, through the platform.
fn through(caller: Sipp, callee: Sipp) -> Result<(SippCounts, Platform)> {
    let callee = callee.start()?;
    let platform = platform(&[&callee], &json!({}))?;
    let counts = caller.run(platform.ready().sip.udp)?;
    callee.finish()?;
    platform.wait_until_idle();
    Ok((counts, platform))
}

/// As many CDRs, once they are all in the store.
fn cdrs(platform: &Platform, count: usize) -> Vec<Value> {
    let cdrs = wait_for("the CDRs", || {
        platform
            .rest()
            .list("/v1/cdrs")
            .ok()
            .filter(|cdrs| cdrs.len() >= count)
    });
    assert_eq!(cdrs.len(), count, "{cdrs:?}");
    cdrs
}

/// Outcome and status of the only CDR.
fn outcome(platform: &Platform) -> (Value, Value) {
    let cdr = cdrs(platform, 1).remove(0);
    (cdr["outcome"].clone(), cdr["status"].clone())
}

#[test]
fn fifty_calls_at_a_time_with_audio() -> Result<()> {
    let caller = customer("uac_media")?
        .calls(50, 25, 50)
        .set("TALK_MS", "3000");
    let (counts, platform) = through(caller, Sipp::new("uas_media")?.calls(50, 50, 50))?;
    assert_eq!(counts.succeeded, 50);
    for cdr in cdrs(&platform, 50) {
        for leg in ["media_a", "media_b"] {
            let packets = cdr[leg]["packets"].as_u64().unwrap_or(0);
            assert!(packets > 50, "{leg} of {cdr}");
        }
    }
    Ok(())
}

#[test]
fn the_callee_hangs_up() -> Result<()> {
    let (_, platform) = through(customer("uac_remote_bye")?, Sipp::new("uas_bye")?)?;
    assert_eq!(outcome(&platform), (json!("answered"), json!(200)));
    Ok(())
}

#[test]
fn the_caller_gives_up() -> Result<()> {
    let (_, platform) = through(customer("uac_cancel")?, Sipp::new("uas_no_answer")?)?;
    assert_eq!(outcome(&platform), (json!("cancelled"), json!(487)));
    Ok(())
}

#[test]
fn busy_comes_back_as_busy() -> Result<()> {
    let (_, platform) = through(customer("uac_refused")?, Sipp::new("uas_refuse")?)?;
    assert_eq!(outcome(&platform), (json!("busy"), json!(486)));
    Ok(())
}

#[test]
fn early_media_reaches_the_caller() -> Result<()> {
    let callee = Sipp::new("uas_early_media")?.set("RING_MS", "1000");
    through(customer("uac")?, callee).map(|_| ())
}

#[test]
fn a_late_offer() -> Result<()> {
    through(customer("uac_late_offer")?, Sipp::new("uas")?).map(|_| ())
}

#[test]
fn hold_and_resume_by_re_invite() -> Result<()> {
    through(customer("uac_hold")?, Sipp::new("uas_reinvited")?).map(|_| ())
}

/// The only gateway of a platform gets credentials.
fn give_credentials(platform: &Platform) -> Result<()> {
    let gateway = platform.rest().first("gateways")?;
    let auth = json!({ "auth": { "username": "us", "password": "secret" } });
    let path = testkit::record_path("gateways", &gateway);
    platform.rest().change(&path, &auth)?;
    Ok(())
}

#[test]
fn a_gateway_that_wants_proof_of_each_request_gets_it() -> Result<()> {
    let callee = Sipp::new("uas_challenging")?.start()?;
    let platform = platform(&[&callee], &json!({}))?;
    give_credentials(&platform)?;
    customer("uac_hold")?.run(platform.ready().sip.udp)?;
    callee.finish()?;
    platform.wait_until_idle();
    assert_eq!(outcome(&platform), (json!("answered"), json!(200)));
    Ok(())
}

#[test]
fn a_description_among_other_parts_is_relayed_and_they_stay() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    rest.add_customer(LOOPBACK, &json!({}))?;
    let (caller, gateway) = (
        Peer::new(platform.ready().sip.udp)?,
        Peer::new(platform.ready().sip.udp)?,
    );
    rest.add_carrier("", &[GatewaySpec::at(gateway.address())], &json!({}))?;
    let other = "Content-Type: application/isup\r\n\r\nabc\r\n\r\n--b--\r\n";
    let sdp = session("127.0.0.1:40000".parse()?);
    let body = format!("--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b\r\n{other}");
    let kind = "Content-Type: multipart/mixed;boundary=b";
    let invite = caller.request("INVITE", "sip:493012345@127.0.0.1", &[kind], &body);
    caller.send(&invite)?;
    let invited = gateway.refuse("486 Busy Here")?;
    assert!(invited.body.ends_with(other), "{}", invited.body);
    assert!(invited.body.contains("m=audio "), "{}", invited.body);
    assert!(!invited.body.contains("m=audio 40000"), "{}", invited.body);
    caller.refused(&invite)?;
    Ok(())
}

#[test]
fn reliable_ringing() -> Result<()> {
    through(customer("uac_prack")?, Sipp::new("uas_prack")?).map(|_| ())
}

#[test]
fn an_update_within_the_call() -> Result<()> {
    through(customer("uac_update")?, Sipp::new("uas_updated")?).map(|_| ())
}

#[test]
fn a_silent_peer_of_a_session_timer_ends_both_legs() -> Result<()> {
    let caller = customer("uac_session_silent")?.patience(Duration::from_secs(120));
    let callee = Sipp::new("uas")?
        .set("WAIT_MS", "110000")
        .patience(Duration::from_secs(120));
    through(caller, callee).map(|_| ())
}

#[test]
fn a_gateway_that_refuses_is_passed_over() -> Result<()> {
    let full = Sipp::new("uas_refuse")?.set("STATUS", "503").start()?;
    let open = Sipp::new("uas")?.start()?;
    let platform = platform(&[&full, &open], &json!({}))?;
    customer("uac")?.run(platform.ready().sip.udp)?;
    full.finish()?;
    open.finish()?;
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_silent_gateway_is_passed_over() -> Result<()> {
    let silent = Sipp::new("uas_silent")?.set("WAIT_MS", "1000").start()?;
    let open = Sipp::new("uas")?.start()?;
    let platform = platform(&[&silent, &open], &json!({}))?;
    platform
        .rest()
        .change("/v1/settings", &json!({ "gateway_timeout_ms": 1_000 }))?;
    customer("uac")?.run(platform.ready().sip.udp)?;
    open.finish()?;
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_customer_at_its_limit_gets_503() -> Result<()> {
    let callee = Sipp::new("uas")?.start()?;
    let limited = json!({ "limits": { "channels": 0 } });
    let platform = platform(&[&callee], &limited)?;
    customer("uac_refused")?
        .set("STATUS", "503")
        .run(platform.ready().sip.udp)?;
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_full_server_sends_calls_to_its_peer() -> Result<()> {
    let callee = Sipp::new("uas")?.start()?;
    let platform = platform(&[&callee], &json!({}))?;
    let full = json!({ "limits": { "channels": 0 }, "overflow": { "peers": ["192.0.2.1:5060"] } });
    platform.rest().change("/v1/settings", &full)?;
    customer("uac_refused")?
        .set("STATUS", "302")
        .run(platform.ready().sip.udp)?;
    platform.wait_until_idle();
    Ok(())
}

#[test]
fn a_stranger_is_challenged_or_refused() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let counts = customer("uac_refused")?
        .set("STATUS", "407")
        .run(platform.ready().sip.udp)?;
    assert_eq!(counts.succeeded, 1);
    Ok(())
}

#[test]
fn a_change_of_a_gateway_is_taken_back_while_its_call_goes_on() -> Result<()> {
    let callee = Sipp::new("uas")?.calls(2, 10, 2).start()?;
    let platform = platform(&[&callee], &json!({}))?;
    let rest = platform.rest();
    let udp = platform.ready().sip.udp;
    let talking = customer("uac_remote_bye")?.set("WAIT_MS", "120000");
    let talking = talking.start_towards(udp)?;
    let call = wait_for("the call", || {
        let calls = rest.list("/v1/calls").ok()?;
        calls.into_iter().find(|call| call["state"] == "answered")
    });
    let call = format!("/v1/calls/{}", call["id"].as_str().unwrap_or_default());
    let gateway = rest.list("/v1/gateways")?.remove(0);
    let path = format!(
        "/v1/gateways/{}",
        gateway["id"].as_str().unwrap_or_default()
    );
    rest.change(&path, &json!({ "host": "192.0.2.1", "enabled": false }))?;
    let changed = rest.list("/v1/audit")?.remove(0);
    assert_eq!(changed["record"], gateway["id"], "{changed}");
    let revert = format!("/v1/audit/{}/revert", changed["revision"]);
    let (status, answer) = rest.send("POST", &revert, None)?;
    assert_eq!(status, 204, "{answer}");
    assert_eq!(rest.read(&path)?, gateway);
    // The call was not touched, and the next one goes that way again.
    assert_eq!(rest.read(&call)?["state"], "answered");
    let counts = customer("uac")?.set("TALK_MS", "100").run(udp)?;
    assert_eq!(counts.succeeded, 1);
    rest.send("POST", &format!("{call}/hangup"), None)?;
    assert_eq!(talking.finish()?.succeeded, 1);
    callee.finish()?;
    for cdr in cdrs(&platform, 2) {
        assert_eq!(
            (&cdr["outcome"], &cdr["gateway"]),
            (&json!("answered"), &gateway["id"])
        );
    }
    Ok(())
}
