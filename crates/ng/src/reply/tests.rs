use super::*;
use crate::status::State;

fn again(reply: &Reply) -> Reply {
    let message = reply.encode(b"k", Encoding::Bencode);
    let frame = Frame::split(&message).expect("a frame");
    Reply::read(&frame.dictionary().expect("sound")).expect("a reply")
}

#[test]
fn what_a_server_writes_a_client_reads() {
    let status = Status {
        version: "1".into(),
        zone: "fra".into(),
        aliases: vec!["m1.example".into()],
        state: State::Draining,
        sessions: 3,
        sessions_max: 100,
        load_permille: 250,
        instance: 77,
        news: 7,
    };
    let mut success = Success::sdp(b"v=0\r\n".to_vec());
    success.recordings = vec!["/srv/a recording-1.wav".into()];
    success.labelled = vec![LabelledMedium {
        label: "2".into(),
        tag: "a".into(),
        participant: Some("caller".into()),
        index: 1,
        kind: "audio".into(),
        mode: "sendrecv".into(),
    }];
    success.warn("one");
    success.warn("two");
    assert_eq!(success.warning.as_deref(), Some("one; two"));
    for reply in [
        Reply::ok(),
        Reply::error("no such call"),
        Reply::LoadLimit {
            message: "full".into(),
        },
        Reply::Pong {
            status: Some(Box::new(status)),
        },
        success.into(),
    ] {
        assert_eq!(again(&reply), reply);
    }
}

#[test]
fn the_figures_of_a_call_come_back() {
    let endpoint = "192.0.2.1:4000".parse().ok();
    let stream = StreamReport {
        local_port: Some(30_000),
        local_address: "192.0.2.9".parse().ok(),
        endpoint,
        advertised: endpoint,
        crypto_suite: Some("AES_CM_128_HMAC_SHA1_80".into()),
        last_packet_s: 99,
        ssrc: Some(u32::MAX),
        flags: vec!["RTP".into(), "filled".into()],
        counts: Counts {
            packets: 5,
            bytes: 860,
            errors: 1,
        },
    };
    let medium = MediumReport {
        index: 1,
        kind: "audio".into(),
        protocol: "RTP/AVP".into(),
        codec: Some("PCMA".into()),
        flags: vec!["initialized".into()],
        streams: vec![stream],
        quality: Some(Quality {
            lost: 1,
            jitter_us: 2,
            mos_centi: 430,
            rtt_us: 3,
            telephone_events: 4,
        }),
    };
    let tag = TagReport {
        tag: "a".into(),
        label: Some("caller".into()),
        created_s: 98,
        via_branch: Some("z9".into()),
        in_dialogue_with: Some("b".into()),
        subscriptions: vec!["c".into()],
        subscribers: vec!["d".into()],
        media: vec![medium],
    };
    let report = CallReport {
        created_s: 97,
        last_signal_s: 98,
        tags: vec![tag],
        ssrcs: vec![Ssrc {
            ssrc: 7,
            mos_deci: 43,
            rtt_us: 20_000,
            jitter_ms: 1,
            loss_percent: 2,
            samples: 9,
            lowest: Some(MosSample {
                reported_s: 99,
                mos_deci: 12,
                ..MosSample::default()
            }),
            highest: None,
            progression: vec![MosSample::default(); 2],
            interval_s: 5,
        }],
        ..CallReport::default()
    };
    let reply = Reply::from(Success {
        report: Some(Box::new(report)),
        ..Success::default()
    });
    assert_eq!(again(&reply), reply);
}

#[test]
fn a_reply_of_rtpengine_is_read() {
    let message = b"k d6:result2:ok7:createdi1402064111e11:last signali1402064116e\
        4:tagsd2:csd3:tag2:cs16:in dialogue with2:0f6:mediasld5:indexi1e4:type5:audio\
        8:protocol7:RTP/AVP7:streamsld10:local porti30018e5:statsd7:packetsi343e5:bytesi56950e\
        6:errorsi0eeeeeeee6:totalsd3:RTPd7:packetsi705e5:bytesi100287e6:errorsi0eeee";
    let frame = Frame::split(message).expect("a frame");
    let reply = Reply::read(&frame.dictionary().expect("sound")).expect("a reply");
    let Reply::Ok(success) = reply else {
        panic!("ok: {reply:?}");
    };
    let report = success.report.expect("figures");
    assert_eq!(report.rtp.packets, 705);
    let tag = report.tag("cs").expect("the caller");
    assert_eq!(tag.in_dialogue_with.as_deref(), Some("0f"));
    let stream = &tag.media[0].streams[0];
    assert_eq!(
        (stream.local_port, stream.counts.packets),
        (Some(30_018), 343)
    );
}

#[test]
fn a_reply_without_a_result_is_none() {
    let mut dictionary = Dictionary::new();
    assert_eq!(Reply::read(&dictionary), Err(BadMessage::NoResult));
    dictionary.push("result", "maybe");
    assert_eq!(Reply::read(&dictionary), Err(BadMessage::NoResult));
}
