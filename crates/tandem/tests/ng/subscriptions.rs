//! Copies of what participants send: `subscribe request`, `subscribe answer`, `unsubscribe`, and
//! `publish`.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{MediaServer, wait_for};

use crate::call::{CALL_ID, Call, EVENT, Phone, media_of};

/// Subscribes a phone to somebody of a call; the tag of the subscription.
fn subscribe(call: &Call, phone: &Phone, whom: &Value) -> Result<String> {
    let offer = call.done("subscribe request", whom);
    let sdp = offer["sdp"].as_str().context("an offer")?;
    assert!(sdp.contains("a=sendonly\r\n"), "{sdp}");
    let tag = offer["to-tag"].as_str().context("a tag")?.to_owned();
    let answer = json!({"to-tag": tag, "sdp": phone.sdp_with("recvonly", "")});
    call.done("subscribe answer", &answer);
    Ok(tag)
}

#[test]
fn a_subscriber_hears_whom_it_subscribed_to_and_nobody_else() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let listener = Phone::new()?;
    let ports = call.server.metric("tandem_media_ports_used");
    let tag = subscribe(&call, &listener, &json!({"from-tag": "a"}))?;
    assert_eq!(call.server.metric("tandem_media_ports_used"), ports + 2);

    call.b.say("not for it")?;
    assert_eq!(call.a.hear()?, "not for it");
    call.a.say("for both")?;
    assert_eq!(call.b.hear()?, "for both");
    let copy = listener.receive()?;
    assert_eq!(copy.payload, b"for both");
    assert_eq!((copy.ssrc, copy.sequence), (call.a.ssrc(), 2), "as it came");
    call.a.send(EVENT, &[7, 10, 0, 160])?;
    assert_eq!(listener.receive()?.payload, [7, 10, 0, 160]);
    assert_eq!(call.b.receive()?.payload, [7, 10, 0, 160]);

    // What is blocked on its way to B is heard by the subscriber all the same.
    call.done("block media", &json!({}));
    call.a.say("in confidence")?;
    assert_eq!(listener.hear()?, "in confidence");
    call.done("unblock media", &json!({}));

    call.done("unsubscribe", &json!({"to-tag": tag}));
    call.assert_heard("without it")?;
    assert_eq!(call.server.metric("tandem_media_ports_used"), ports);
    let gone = call.ask("unsubscribe", &json!({"to-tag": tag}));
    assert!(gone["warning"].is_string(), "{gone}");
    Ok(())
}

#[test]
fn sender_reports_are_copied_and_a_subscribers_own_go_nowhere() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let listener = Phone::new()?;
    subscribe(&call, &listener, &json!({"from-tag": "a"}))?;
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(call.a.ssrc().to_be_bytes());
    report.extend([7; 20]);
    let mut towards = call.a.towards;
    towards.set_port(towards.port() + 1);
    call.a.rtcp.send_to(&report, towards)?;
    let mut buffer = [0; 256];
    let (length, from) = listener.rtcp.recv_from(&mut buffer)?;
    assert_eq!(buffer[..length], report);
    call.b.rtcp.recv_from(&mut buffer)?;
    let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    listener.rtcp.send_to(&receiver_report, from)?;
    call.assert_heard("after it")?;
    Ok(())
}

#[test]
fn what_a_subscriber_reports_goes_back_if_it_is_mirrored() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let listener = Phone::new()?;
    let asked = json!({"from-tag": "a", "flags": ["RTCP-mirror"]});
    subscribe(&call, &listener, &asked)?;
    call.a.say("heard")?;
    assert_eq!(call.b.hear()?, "heard");
    let mut buffer = [0; 256];
    let (_, mut from) = listener.rtp.recv_from(&mut buffer)?;
    from.set_port(from.port() + 1);
    let loss = [0x81, 206, 0, 2, 0, 0, 0, 99, 0, 0, 0, 7];
    listener.rtcp.send_to(&loss, from)?;
    let (length, _) = call.a.rtcp.recv_from(&mut buffer)?;
    assert_eq!(buffer[..length], loss);
    Ok(())
}

#[test]
fn several_participants_are_heard_at_once_by_several_subscribers() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let (first, second) = (Phone::new()?, Phone::new()?);
    let offer = call.done(
        "subscribe request",
        &json!({"flags": ["all"], "to-tag": "x"}),
    );
    assert_eq!(offer["to-tag"], "x");
    let mut tags: Vec<&str> = offer["from-tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, ["a", "b"]);
    let sdp = offer["sdp"].as_str().context("an offer")?;
    assert_eq!(sdp.matches("m=audio ").count(), 2, "{sdp}");
    let medium = |phone: &Phone| {
        let sdp = phone.sdp_with("recvonly", "");
        let (session, medium) = sdp.split_once("m=").unwrap_or_default();
        (session.to_owned(), format!("m={medium}"))
    };
    let ((session, one), (_, two)) = (medium(&first), medium(&second));
    let answer = json!({"to-tag": "x", "sdp": format!("{session}{one}{two}")});
    call.done("subscribe answer", &answer);
    let third = Phone::new()?;
    subscribe(&call, &third, &json!({"from-tag": "b"}))?;

    call.assert_heard("both")?;
    assert_eq!(first.receive()?.ssrc, call.a.ssrc());
    assert_eq!(second.receive()?.ssrc, call.b.ssrc());
    assert_eq!(third.receive()?.ssrc, call.b.ssrc());
    // The call ends, and with it whoever listened to it.
    call.done("delete", &json!({"from-tag": "a"}));
    assert_eq!(call.server.metric("tandem_media_sessions"), 0);
    assert_eq!(call.server.metric("tandem_media_ports_used"), 0);
    Ok(())
}

#[test]
fn a_subscriber_gets_another_codec_if_that_is_asked() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    let listener = Phone::new()?;
    let asked = json!({"from-tag": "a", "to-tag": "x",
        "flags": ["codec-mask-PCMA", "codec-transcode-PCMU", "allow-transcoding"]});
    let offer = call.done("subscribe request", &asked);
    let sdp = offer["sdp"].as_str().context("an offer")?;
    assert!(sdp.contains(" RTP/AVP 0 101\r\n"), "{sdp}");
    let port = listener.port();
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=recvonly\r\n"
    );
    call.done("subscribe answer", &json!({"to-tag": "x", "sdp": sdp}));
    for _ in 0..5 {
        call.a.send(8, &[0xd5; 160])?;
    }
    let packet = listener.receive()?;
    assert_eq!((packet.payload_type, packet.payload.len()), (0, 160));
    Ok(())
}

#[test]
fn what_is_published_is_heard_by_subscribers_alone() -> Result<()> {
    let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &[])?;
    let mut author = Phone::new()?;
    let sdp = author.sdp_with("sendonly", "");
    let answer = server.ask(
        &json!({"command": "publish", "call-id": CALL_ID, "from-tag": "p",
        "sdp": sdp}),
    );
    assert_eq!(answer["result"], "ok", "{answer}");
    let published = answer["sdp"].as_str().context("an answer")?;
    assert!(published.contains("a=recvonly\r\n"), "{published}");
    assert!(
        published.contains(" RTP/AVP 8\r\n"),
        "one codec: {published}"
    );
    author.towards = media_of(&answer)?;
    author.say("to nobody")?;
    wait_for("it to be dropped", || {
        (server.metric("tandem_media_packets_dropped_total") == 1).then_some(())
    });
    let listener = Phone::new()?;
    let offer = server.ask(&json!({"command": "subscribe request", "call-id": CALL_ID,
        "from-tag": "p", "to-tag": "s"}));
    assert_eq!(offer["result"], "ok", "{offer}");
    let from: SocketAddr = media_of(&offer)?;
    let sdp = listener.sdp_with("recvonly", "");
    let done = server.ask(&json!({"command": "subscribe answer", "call-id": CALL_ID,
        "to-tag": "s", "sdp": sdp}));
    assert_eq!(done["result"], "ok", "{done}");
    author.say("on air")?;
    let mut buffer = [0; 64];
    let (length, source) = listener.rtp.recv_from(&mut buffer)?;
    assert_eq!((&buffer[12..length], source), (&b"on air"[..], from));
    Ok(())
}

/// As OpenSIPS asks for its recorder, which places streams by tag and label.
#[test]
fn a_recorder_is_told_whose_media_it_hears() -> Result<()> {
    let mut call = Call::offered(&json!({"label": "caller"}))?.talking()?;
    let flags = json!({"flags": ["all", "siprec"]});
    let offer = call.done("subscribe request", &flags);
    let sdp = offer["sdp"].as_str().context("an offer")?;
    let labels: Vec<&str> = sdp
        .lines()
        .filter(|line| line.starts_with("a=label:"))
        .collect();
    assert_eq!(labels, ["a=label:1", "a=label:2"], "{sdp}");
    let told = offer["tag-medias"].as_array().context("whose they are")?;
    let caller = told
        .iter()
        .find(|told| told["tag"] == "a")
        .context("the caller")?;
    assert_eq!(caller["label"], "caller", "{offer}");
    let medium = &caller["medias"][0];
    assert_eq!(
        (&medium["index"], &medium["type"]),
        (&json!(1), &json!("audio"))
    );
    assert_eq!(medium["mode"], "sendrecv");
    let label = medium["label"].as_str().context("a label")?;
    assert_eq!(offer["media-labels"][label]["tag"], "a", "{offer}");
    assert!(told.iter().any(|told| told["tag"] == "b"), "{offer}");

    // What is heard in the medium of that label is the caller.
    let phones = [Phone::new()?, Phone::new()?];
    let media = phones
        .each_ref()
        .map(|phone| phone.sdp_with("recvonly", ""));
    let second = media[1].split_once("m=").context("a medium")?.1;
    let answer = json!({"to-tag": offer["to-tag"], "flags": ["all", "siprec"],
        "sdp": format!("{}m={second}", media[0])});
    call.done("subscribe answer", &answer);
    call.assert_heard("recorded")?;
    let place: usize = label.parse()?;
    assert_eq!(phones[place - 1].receive()?.ssrc, call.a.ssrc());
    // Who is no recorder is told nothing of it.
    let plain = call.done("subscribe request", &json!({"flags": ["all"]}));
    assert!(plain.get("tag-medias").is_none(), "{plain}");
    Ok(())
}

#[test]
fn who_is_not_there_cannot_be_subscribed_to() -> Result<()> {
    let call = Call::new(&[])?;
    let refused = |command: &str, more: Value| {
        let answer = call.ask(command, &more);
        assert_eq!(answer["result"], "error", "{command} {more}: {answer}");
    };
    refused("subscribe request", json!({}));
    refused("subscribe request", json!({"from-tag": "nobody"}));
    refused(
        "subscribe answer",
        json!({"to-tag": "nobody", "sdp": call.a.sdp()}),
    );
    let other = call
        .server
        .ask(&json!({"command": "subscribe request", "call-id": "other",
        "from-tag": "a"}));
    assert_eq!(other["result"], "error");
    Ok(())
}
