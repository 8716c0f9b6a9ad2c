//! What `query` says of a call while it goes on.

use std::time::SystemTime;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::wait_for;

use crate::call::Call;

#[test]
fn a_query_names_sources_times_and_reports_where_scripts_look_for_them() -> Result<()> {
    let now_s = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let began_s = now_s()?.as_secs();
    let call = Call::new(&[])?.talking()?;
    let mut towards = call.a.towards;
    towards.set_port(towards.port() + 1);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    call.a.rtcp.send_to(&report, towards)?;
    let mut buffer = [0; 64];
    call.b.rtcp.recv_from(&mut buffer)?;

    let answer = call.done("query", &json!({}));
    let tag = &answer["tags"]["a"];
    assert_eq!(tag["in dialogue with"], "b", "{answer}");
    let dialogue = json!([{"tag": "b", "type": "offer/answer"}]);
    assert_eq!(tag["subscriptions"], dialogue, "{answer}");
    assert_eq!(tag["medias"][0]["streams"][0]["local address"], "127.0.0.1");
    let medium = &tag["medias"][0];
    assert_eq!(medium["protocol"], "RTP/AVP");
    assert_eq!(medium["flags"], json!(["initialized", "send", "recv"]));
    let [rtp, rtcp] = [&medium["streams"][0], &medium["streams"][1]];
    assert_eq!(rtp["SSRC"], call.a.ssrc(), "{rtp}");
    assert_eq!(rtp["stats"]["packets"], 1);
    assert_eq!(rtp["flags"], json!(["RTP", "filled", "confirmed"]));
    let last_s = rtp["last packet"].as_u64().context("a time")?;
    assert!((began_s..=now_s()?.as_secs()).contains(&last_s), "{rtp}");
    assert_eq!(
        rtcp["stats"],
        json!({"packets": 1, "bytes": 8, "errors": 0})
    );
    assert!(rtcp["last packet"].as_u64() >= Some(began_s), "{rtcp}");
    assert!(answer["created"].as_u64() >= Some(began_s), "{answer}");
    assert!(answer["created_us"].as_u64() < Some(1_000_000), "{answer}");
    assert_eq!(answer["totals"]["RTP"]["packets"], 2);
    assert_eq!(answer["totals"]["RTCP"]["packets"], 1);
    let average = &answer["SSRC"][call.a.ssrc().to_string()]["average MOS"];
    assert!(average["MOS"].as_u64() > Some(30), "{answer}");
    assert_eq!(average["packet loss"], 0);
    Ok(())
}

#[test]
fn a_subscriber_is_among_the_participants() -> Result<()> {
    let call = Call::new(&[])?.talking()?;
    call.done(
        "subscribe request",
        &json!({"from-tag": "a", "to-tag": "s"}),
    );
    let answer = call.done("query", &json!({}));
    let subscriptions: &Value = &answer["tags"]["s"]["subscriptions"];
    assert_eq!(
        subscriptions,
        &json!([{"tag": "a", "type": "pub/sub"}]),
        "{answer}"
    );
    Ok(())
}

#[test]
fn a_query_tells_where_a_phone_behind_a_nat_was_found() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let described = call
        .a
        .sdp()
        .replace("c=IN IP4 127.0.0.1", "c=IN IP4 10.9.9.9");
    call.offer(&json!({"sdp": described, "received-from": ["IP4", "127.0.0.1"]}));
    call.answer();
    let endpoint = |answer: &Value, kind: &str| {
        let stream = &answer["tags"]["a"]["medias"][0]["streams"][0][kind];
        (stream["address"].clone(), stream["port"].clone())
    };
    let here = (json!("127.0.0.1"), json!(call.a.port()));
    let there = (json!("10.9.9.9"), json!(call.a.port()));
    // The worker hears of it a little later.
    wait_for("an endpoint that was not heard yet", || {
        let answer = call.done("query", &json!({}));
        assert_eq!(endpoint(&answer, "advertised endpoint"), there, "{answer}");
        (endpoint(&answer, "endpoint") == there).then_some(())
    });
    call.assert_heard("here")?;
    let answer = call.done("query", &json!({}));
    assert_eq!(endpoint(&answer, "endpoint"), here, "{answer}");
    assert_eq!(endpoint(&answer, "advertised endpoint"), there, "{answer}");
    Ok(())
}
