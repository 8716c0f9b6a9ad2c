//! What flags and keys of offers and answers do to descriptions and to media.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::call::{Call, EVENT, PCMA, Phone};

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
