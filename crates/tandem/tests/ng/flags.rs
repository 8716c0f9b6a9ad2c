//! What flags and keys of offers and answers do to descriptions and to media.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use testkit::{MediaServer, Wire};

use crate::call::{Call, EVENT, PCMA, Phone, media_of, weigh};

fn sdp(answer: &Value) -> &str {
    answer["sdp"].as_str().unwrap_or_default()
}

#[test]
fn attributes_change_by_name() -> Result<()> {
    let call = Call::new(&[])?;
    let offer = call.offer(&json!({"sdp-attr": {
        "audio": {"add": ["x-added:1"], "remove": ["rtpmap:101 telephone-event/8000"]},
        "none": {"add": ["x-session"]},
    }}));
    assert!(sdp(&offer).contains("a=x-session\r\nm=audio "), "{offer}");
    assert!(sdp(&offer).ends_with("a=x-added:1\r\n"), "{offer}");
    assert!(!sdp(&offer).contains("rtpmap:101"), "{offer}");
    let flags = json!({"flags": ["sdp-attr-substitute-audio-sendrecv>sendonly"]});
    let offer = call.offer(&flags);
    assert!(sdp(&offer).contains("a=sendonly\r\n"), "{offer}");
    Ok(())
}

#[test]
fn a_codec_that_is_ignored_is_neither_offered_nor_answered() -> Result<()> {
    let call = Call::new(&[])?;
    let offered = call.a.sdp().replace("RTP/AVP 8 101", "RTP/AVP 8 0 101");
    let offer = call.offer(&json!({"sdp": offered, "codec": {"ignore": ["PCMA"]}}));
    assert!(sdp(&offer).contains(" RTP/AVP 0 101\r\n"), "{offer}");
    Ok(())
}

#[test]
fn an_offerer_gets_the_packet_time_that_was_asked_for_it() -> Result<()> {
    let mut call = Call::offered(&json!({"ptime-reverse": 40}))?;
    let answer = call.answer();
    assert!(sdp(&answer).contains("a=ptime:40\r\n"), "{answer}");
    for _ in 0..10 {
        call.b.send(PCMA, &[0xd5; 160])?;
    }
    let packet = call.a.receive()?;
    assert_eq!((packet.payload_type, packet.payload.len()), (PCMA, 320));
    Ok(())
}

#[test]
fn dtmf_may_be_blocked_from_the_offer_on() -> Result<()> {
    let mut call = Call::offered(&json!({"flags": ["block-DTMF"]}))?;
    call.a.send(EVENT, &[5, 10, 0, 160])?;
    call.assert_heard("voice")
}

#[test]
fn what_is_said_of_rtcp_and_names_follows_the_flags() -> Result<()> {
    let call = Call::new(&[])?;
    let offer = call.offer(&json!({"flags": ["full-rtcp-attribute", "generate-mid"]}));
    let rtcp = sdp(&offer).lines().find(|line| line.starts_with("a=rtcp:"));
    let rtcp = rtcp.context("an attribute")?;
    assert!(rtcp.ends_with(" IN IP4 127.0.0.1"), "{rtcp}");
    assert!(sdp(&offer).contains("a=mid:1\r\n"), "{offer}");
    let answered = json!({"from-tag": "a", "to-tag": "b",
        "sdp": call.b.sdp_with("sendrecv", "a=mid:1\r\n")});
    let answer = call.done("answer", &answered);
    assert!(!sdp(&answer).contains("a=mid:"), "{answer}");
    Ok(())
}

#[test]
fn whatever_is_not_done_is_said() -> Result<()> {
    let call = Call::new(&[])?;
    let undone = [
        (json!({"T.38": ["decode"]}), "T.38"),
        (json!({"delay-buffer": 60}), "delay-buffer"),
        (json!({"SDES": ["only-AEAD_AES_256_GCM"]}), "SDES"),
        (json!({"SDES": ["lifetime"]}), "SDES-lifetime"),
        (json!({"OSRTP": ["offer-legacy"]}), "OSRTP-offer-legacy"),
        (json!({"DTLS": "active"}), "DTLS=active"),
        (json!({"ICE": "optional"}), "ICE"),
        (json!({"metadata": "x"}), "metadata"),
        (json!({"flags": ["NAT-wait"]}), "NAT-wait"),
        (json!({"flags": ["pierce-NAT"]}), "pierce-NAT"),
        (json!({"DTLS-reverse": "passive"}), "DTLS-reverse"),
        (json!({"DTMF-security": "tone"}), "DTMF-security"),
        (json!({"DTMF-delay": 100}), "DTMF-delay"),
        (json!({"audio-player": "always"}), "audio-player"),
        (json!({"replace": ["SDP-version"]}), "replace=SDP-version"),
    ];
    for (more, said) in undone {
        let mut request = json!({"from-tag": "a", "sdp": call.a.sdp()});
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        let answer = call.ask("offer", &request);
        assert_eq!(answer["result"], "ok", "{answer}");
        let warning = answer["warning"].as_str().unwrap_or_default();
        assert!(warning.contains(said), "{more}: {warning:?}");
    }
    Ok(())
}

#[test]
fn an_answer_has_one_codec_if_that_is_asked() -> Result<()> {
    let call = Call::new(&[])?;
    let both = |phone: &Phone| phone.sdp().replace("RTP/AVP 8 101", "RTP/AVP 8 0 101");
    call.offer(&json!({"sdp": both(&call.a)}));
    let answer = json!({"from-tag": "a", "to-tag": "b", "sdp": both(&call.b),
        "flags": ["single-codec"]});
    let answer = call.done("answer", &answer);
    assert!(sdp(&answer).contains(" RTP/AVP 8 101\r\n"), "{answer}");
    Ok(())
}

#[test]
fn a_call_is_sent_with_the_type_of_service_that_was_asked() -> Result<()> {
    let mut call = Call::offered(&json!({"TOS": 184}))?;
    let wire = match Wire::listen_to(&[call.a.port(), call.b.port()]) {
        Ok(wire) => wire,
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {error:#}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    call.a.say("marked")?;
    assert_eq!(call.b.hear()?, "marked");
    assert_eq!(wire.traffic_class_to(call.b.port())?, 184);
    call.b.say("marked, too")?;
    assert_eq!(call.a.hear()?, "marked, too");
    assert_eq!(wire.traffic_class_to(call.a.port())?, 184);
    Ok(())
}

#[test]
fn what_is_set_of_a_codec_is_seen_in_its_packets() -> Result<()> {
    let mut bytes = Vec::new();
    for rate_bps in [8_000, 64_000] {
        let set = format!("opus/48000/2/{rate_bps}");
        let codec = json!({"mask": ["PCMA"], "transcode": ["opus"], "set": [set]});
        let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &[])?;
        let (mut a, b) = (Phone::new()?, Phone::new()?);
        let ask = |request: Value| {
            let answer = server.ask(&request);
            assert!(answer.get("warning").is_none(), "{answer}");
            answer
        };
        let offer = ask(json!({"command": "offer", "call-id": "c", "from-tag": "a",
            "sdp": a.sdp(), "codec": codec}));
        let number = sdp(&offer).lines().find_map(|line| {
            let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            name.eq_ignore_ascii_case("opus/48000/2").then_some(number)
        });
        let number = number.context("Opus")?;
        let formats = format!("RTP/AVP {number}\r\na=rtpmap:{number} opus/48000/2");
        let answer = b
            .sdp()
            .replace("RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000", &formats);
        let answer = ask(json!({"command": "answer", "call-id": "c", "from-tag": "a",
            "to-tag": "b", "sdp": answer}));
        a.towards = media_of(&answer)?;
        // Noise, which no codec makes little of.
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let audio: Vec<u8> = (0..50 * 160).map(|_| noise()).collect();
        bytes.push(weigh(&mut a, &b, &audio)?);
    }
    // 20 ms of each: 20 bytes and 160.
    assert!(bytes[0] < 50 && bytes[1] > 100, "{bytes:?}");
    Ok(())
}

#[test]
fn candidates_that_come_in_fragments_are_checked() -> Result<()> {
    let ice = "a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n";
    let call = Call::new(&[])?;
    let offer = json!({"sdp": call.a.sdp_with("sendrecv", ice), "ICE": "force",
        "flags": ["trickle-ICE"], "transport-protocol": "RTP/AVP"});
    call.offer(&offer);
    call.answer();
    let elsewhere = Phone::new()?;
    let fragment = format!(
        "a=ice-ufrag:abcd\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
         a=candidate:1 1 UDP 2122260223 127.0.0.1 {} typ host\r\n",
        elsewhere.port()
    );
    let trickled = json!({"from-tag": "a", "flags": ["fragment"], "sdp": fragment});
    call.done("offer", &trickled);
    let mut buffer = [0; 1_024];
    let (length, _) = elsewhere.rtp.recv_from(&mut buffer)?;
    let check = [0, 1];
    assert_eq!(
        buffer[..2],
        check,
        "a Binding request: {:?}",
        &buffer[..length]
    );
    // Of a call that nobody knows there is nothing to name.
    let unknown = json!({"call-id": "other", "from-tag": "a", "flags": ["fragment"],
        "sdp": fragment});
    assert_eq!(call.ask("offer", &unknown)["result"], "error");
    Ok(())
}
