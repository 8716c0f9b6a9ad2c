//! HEP as collectors of the field take it: Kamailio's `sipcapture`, and sngrep.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{
    Baresip, Kamailio, MediaServer, PhoneOptions, PhoneTransport, Platform, Program, ports,
    wait_for, wait_for_within,
};

/// A phone sends its first RTCP after some seconds.
const RTCP_PATIENCE: Duration = Duration::from_secs(40);

/// Who tells this collector, as node 2001.
fn platform(collector: &str) -> Result<Platform> {
    platform_over("udp", collector)
}

fn platform_over(transport: &str, collector: &str) -> Result<Platform> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let settings = json!({
        "hep_collector": collector,
        "hep_transport": transport,
        "hep_node_id": 2_001,
    });
    platform.rest().change("/v1/settings", &settings)?;
    Ok(platform)
}

fn phones(platform: &Platform) -> Result<[Baresip; 2]> {
    let ready = platform.ready();
    let phone = |name: &str| {
        let options = PhoneOptions::new(name, &ready.domain)
            .password(&ready.user(name).password)
            .server(ready.sip.udp, PhoneTransport::Udp);
        Baresip::register(options)
    };
    let phones = [phone("alice")?, phone("bob")?];
    wait_for("two routable registrations", || {
        let registrations = platform.rest().list("/v1/registrations").ok()?;
        let routable = registrations.iter().filter(|r| r["routable"] == true);
        (routable.count() == 2).then_some(())
    });
    Ok(phones)
}

fn begin(platform: &Platform, [alice, bob]: &mut [Baresip; 2]) -> Result<()> {
    alice.dial(&format!("sip:bob@{}", platform.ready().domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    Ok(())
}

fn end(platform: &Platform, [alice, bob]: &mut [Baresip; 2]) -> Result<String> {
    alice.hang_up()?;
    bob.wait_for_closed();
    let cdr = wait_for("the record", || {
        platform.rest().list("/v1/cdrs").ok()?.into_iter().next()
    });
    let call_id = cdr["sip_call_id"].as_str().context("a Call-ID")?;
    Ok(call_id.to_owned())
}

fn of_call(rows: Vec<Value>, column: &str, call_id: &str) -> Vec<Value> {
    let rows = rows.into_iter();
    rows.filter(|row| row[column] == call_id).collect()
}

fn check_messages(collector: &Kamailio, call_id: &str) -> Result<()> {
    let columns = "method, callid, correlation_id, source_ip, node, msg";
    let messages = wait_for("the messages of the call", || {
        let rows = collector.captured("sip_capture", columns).ok()?;
        let rows = of_call(rows, "callid", call_id);
        rows.iter()
            .any(|row| row["method"] == "BYE")
            .then_some(rows)
    });
    let invite = messages.iter().find(|row| row["method"] == "INVITE");
    let invite = invite.context("the INVITE")?;
    assert_eq!(invite["correlation_id"], call_id);
    assert_eq!(invite["source_ip"], "127.0.0.1");
    assert_eq!(invite["node"], "test:2001");
    let text = invite["msg"].as_str().context("the message")?;
    assert!(text.starts_with("INVITE sip:bob@"), "{text}");
    assert!(text.contains("\r\nm=audio "), "whole: {text}");
    assert!(messages.iter().any(|row| row["method"] == "200"));
    Ok(())
}

fn check_rtcp(collector: &Kamailio, call_id: &str) -> Result<()> {
    let rows = collector.captured("rtcp_capture", "correlation_id, msg")?;
    let rtcp = of_call(rows, "correlation_id", call_id);
    let report = rtcp.first().context("RTCP")?;
    let told: Value = serde_json::from_str(report["msg"].as_str().context("JSON")?)?;
    assert!(told["ssrc"].as_u64().is_some_and(|ssrc| ssrc > 0), "{told}");
    Ok(())
}

fn check_quality(collector: &Kamailio, call_id: &str) -> Result<()> {
    let quality = wait_for("the quality of both legs", || {
        let rows = collector.captured("report_capture", "correlation_id, msg");
        let rows = of_call(rows.ok()?, "correlation_id", call_id);
        (rows.len() == 2).then_some(rows)
    });
    for row in quality {
        let told: Value = serde_json::from_str(row["msg"].as_str().context("JSON")?)?;
        assert!(told["TOTAL_PK"].as_u64().is_some_and(|n| n > 50), "{told}");
        assert!(told["MOS"].as_f64().is_some_and(|mos| mos > 4.0), "{told}");
        assert_eq!(told["DST_IP"], "127.0.0.1", "{told}");
        assert!(
            told["DST_PORT"].as_u64().is_some_and(|port| port > 0),
            "{told}"
        );
    }
    Ok(())
}

fn wait_for_rtcp(collector: &Kamailio) {
    wait_for_within(RTCP_PATIENCE, "RTCP of a phone", || {
        let rows = collector.captured("rtcp_capture", "msg").ok()?;
        (!rows.is_empty()).then_some(())
    });
}

/// A call that lasts until the collector has heard of its RTCP; its Call-ID.
fn call(platform: &Platform, collector: &Kamailio) -> Result<String> {
    let mut phones = phones(platform)?;
    begin(platform, &mut phones)?;
    wait_for_rtcp(collector);
    end(platform, &mut phones)
}

#[test]
fn sipcapture_of_kamailio_writes_messages_and_rtcp_of_a_call() -> Result<()> {
    let collector = Kamailio::collector()?;
    let platform = platform(&collector.address().to_string())?;
    let call_id = call(&platform, &collector)?;
    check_messages(&collector, &call_id)?;
    check_rtcp(&collector, &call_id)
}

#[test]
fn a_media_server_tells_of_the_rtcp_of_its_calls_by_their_sip_call_id() -> Result<()> {
    let collector = Kamailio::collector_of_reports()?;
    let address = collector.address().to_string();
    let arguments = ["--hep-collector", &address, "--hep-node-id", "2002"];
    let server = MediaServer::with_ports(env!("CARGO_BIN_EXE_tandem"), 100, &arguments)?;
    let platform = platform(&address)?;
    let record = json!({ "name": "apart", "control": server.control() });
    platform.rest().create("/v1/media-servers", &record)?;
    wait_for("the media server", || {
        let health = platform.rest().list("/v1/media-server-health").ok()?;
        health.iter().any(|s| s["state"] == "up").then_some(())
    });
    let call_id = call(&platform, &collector)?;
    // The node sees none of it.
    check_rtcp(&collector, &call_id)?;
    check_quality(&collector, &call_id)
}

#[test]
fn sipcapture_of_kamailio_has_reports_and_quality_written_as_it_is_told() -> Result<()> {
    let collector = Kamailio::collector_of_reports()?;
    let platform = platform(&collector.address().to_string())?;
    let call_id = call(&platform, &collector)?;
    check_rtcp(&collector, &call_id)?;
    check_quality(&collector, &call_id)
}

#[test]
fn sipcapture_of_kamailio_writes_all_of_a_call_that_it_is_told_over_tcp() -> Result<()> {
    let collector = Kamailio::collector_of_reports()?;
    let platform = platform_over("tcp", &collector.address().to_string())?;
    let call_id = call(&platform, &collector)?;
    check_messages(&collector, &call_id)?;
    check_rtcp(&collector, &call_id)?;
    check_quality(&collector, &call_id)
}

#[test]
fn sngrep_hears_the_messages_of_a_call() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let port = ports::one();
    let file = directory.path().join("heard.pcap");
    let mut command = Command::new("sngrep");
    command
        .args(["-N", "-F", "-L", &format!("udp:127.0.0.1:{port}"), "-O"])
        .arg(&file);
    let sngrep = Program::start("sngrep", &mut command, directory.path())?;
    let platform = platform(&format!("127.0.0.1:{port}"))?;
    let mut phones = phones(&platform)?;
    begin(&platform, &mut phones)?;
    let call_id = end(&platform, &mut phones)?;
    wait_for("the BYE at sngrep", || {
        let bytes = std::fs::read(&file).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let heard = |start: &str| text.contains(start);
        (heard("INVITE sip:bob@") && heard("BYE sip:") && heard(&call_id)).then_some(())
    });
    drop(sngrep);
    Ok(())
}
