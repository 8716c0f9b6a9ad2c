use super::*;
use crate::error::BadMessage;
use crate::flag::{Flag, Replace};
use crate::frame::Frame;
use crate::options::{
    CodecRule, Dtls, Family, Ice, IceLite, Osrtp, RtcpMux, SdesFlag, Switch, Transport,
};
use crate::selection::All;

fn read(json: &str) -> Result<Request, BadMessage> {
    Request::read(&crate::json::decode(json.as_bytes()).expect("sound JSON"))
}

/// The options of an offer with these further entries.
fn offer(entries: &str) -> (Options, Vec<String>) {
    let json =
        format!(r#"{{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0",{entries}}}"#);
    let request = read(&json).expect("an offer");
    match request.command {
        Command::Offer(negotiation) => (negotiation.options, request.unknown),
        other => panic!("an offer: {other:?}"),
    }
}

#[test]
fn an_offer_as_kamailio_sends_it() {
    let message = b"4321_7 d7:call-id3:abc13:received-froml3:IP410:192.0.2.10e\
        5:flagsl13:trust-address8:internal8:strange!e7:replacel6:origin18:session-connectione\
        3:ICE6:remove18:transport-protocol7:RTP/AVP8:rtcp-muxl5:demuxe4:SDESl3:offe\
        9:directionl3:pub4:prive8:from-tag2:ft10:via-branch3:z9h\
        3:sdp5:v=0\r\n5:codecd5:stripl4:PCMUe9:transcodel4:opusee7:command5:offere";
    let frame = Frame::split(message).expect("a frame");
    let request = Request::read(&frame.dictionary().expect("sound")).expect("a request");
    let Command::Offer(negotiation) = request.command else {
        panic!("an offer");
    };
    let Negotiation {
        selection,
        sdp,
        options,
        ..
    } = *negotiation;
    assert_eq!(selection.call_id, "abc");
    assert_eq!(selection.via_branch.as_deref(), Some("z9h"));
    assert_eq!(sdp, b"v=0\r\n");
    assert!(options.flags.contains(Flag::TrustAddress));
    assert!(options.replace.contains(Replace::Origin));
    assert_eq!(options.received_from, "192.0.2.10".parse().ok());
    assert_eq!(options.ice, Some(Ice::Remove));
    assert_eq!(options.transport, Some(Transport::RtpAvp));
    assert!(options.rtcp_mux.contains(RtcpMux::Demux));
    assert!(options.sdes.flags.contains(SdesFlag::Off));
    assert_eq!(options.from_interface.as_deref(), Some("pub"));
    assert_eq!(options.to_interface.as_deref(), Some("priv"));
    assert_eq!(options.codecs.list(CodecRule::Strip), ["PCMU"]);
    assert_eq!(options.codecs.list(CodecRule::Transcode), ["opus"]);
    assert_eq!(request.unknown, ["internal", "strange!"]);
}

#[test]
fn spaces_hyphens_and_underscores_are_one() {
    for key in ["media address", "media-address", "media_address"] {
        let (options, unknown) = offer(&format!(r#""{key}":"2001:db8::1""#));
        assert_eq!(options.media_address, "2001:db8::1".parse().ok());
        assert!(unknown.is_empty());
    }
    for flag in ["generate mid", "generate-mid", "generate_mid"] {
        assert!(
            offer(&format!(r#""flags":["{flag}"]"#))
                .0
                .flags
                .contains(Flag::GenerateMid)
        );
    }
}

#[test]
fn flags_with_a_prefix_are_options() {
    let (options, unknown) = offer(
        r#""flags":["codec-transcode-opus/48000/2","codec-strip-all","SDES-no-AES_CM_128_HMAC_SHA1_32",
        "OSRTP-offer","rtcp-mux-require","replace-origin","transcode-PCMA","SDES-order:A;B;"]"#,
    );
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(
        options.codecs.list(CodecRule::Transcode),
        ["opus/48000/2", "PCMA"]
    );
    assert_eq!(options.codecs.list(CodecRule::Strip), ["all"]);
    assert_eq!(options.sdes.no, ["AES_CM_128_HMAC_SHA1_32"]);
    assert_eq!(options.sdes.order, ["A", "B"]);
    assert!(options.osrtp.contains(Osrtp::Offer));
    assert!(options.rtcp_mux.contains(RtcpMux::Require));
    assert!(options.replace.contains(Replace::Origin));
}

#[test]
fn single_values_and_numbers_as_strings_are_read() {
    let (options, unknown) = offer(
        r#""ptime":"20","TOS":184,"address family":"IP6","DTLS":"passive","record call":"yes",
        "ICE":["force","lite-forward","trickle"],"rtcp-mux":"offer","label":"caller""#,
    );
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!((options.ptime_ms, options.tos), (Some(20), Some(184)));
    assert_eq!(options.address_family, Some(Family::Ip6));
    assert_eq!(options.dtls, Some(Dtls::Passive));
    assert_eq!(options.record_call, Some(Switch::On));
    assert_eq!(
        (options.ice, options.ice_lite),
        (Some(Ice::Force), Some(IceLite::Forward))
    );
    assert!(options.flags.contains(Flag::TrickleIce));
    assert_eq!(options.set_label.as_deref(), Some("caller"));
}

/// Its module makes lists and keys of some words, and hands on all others: words as flags, pairs as
/// keys with strings.
#[test]
fn what_opensips_sends_is_understood() {
    let (options, unknown) = offer(
        r#""received-from":["IP4","192.0.2.7"],"flags":["trust-address","codec-mask-PCMA",
        "codec-strip-opus","transcode-opus","inject-DTMF","force"],"direction":["internal","external"],
        "replace":["origin","session-connection"],"transport-protocol":"UDP/TLS/RTP/SAVPF",
        "rtcp-mux":["offer","require"],"ICE":"force-relay","address family":"IP6","record-call":"yes",
        "TOS":"184","label":"caller","media-address":"192.0.2.1","repacketize":40"#,
    );
    assert_eq!(unknown, ["force", "repacketize"]);
    assert_eq!(options.received_from, "192.0.2.7".parse().ok());
    assert_eq!(options.codecs.list(CodecRule::Mask), ["PCMA"]);
    assert_eq!(options.codecs.list(CodecRule::Strip), ["opus"]);
    assert_eq!(options.codecs.list(CodecRule::Transcode), ["opus"]);
    assert!(options.flags.contains(Flag::InjectDtmf));
    assert_eq!(options.from_interface.as_deref(), Some("internal"));
    assert_eq!(options.to_interface.as_deref(), Some("external"));
    assert_eq!(options.transport, Some(Transport::UdpTlsRtpSavpf));
    assert_eq!(options.ice, Some(Ice::ForceRelay));
    assert_eq!(
        (options.record_call, options.tos),
        (Some(Switch::On), Some(184))
    );
    assert_eq!(options.media_address, "192.0.2.1".parse().ok());
}

#[test]
fn the_string_syntax_says_the_same() {
    let text = "trust-address replace-origin via-branch=auto transport-protocol=RTP/SAVPF \
        ICE=force codec=[strip=[PCMU GSM] transcode=[opus]] direction=[a b] label=x \
        rtcp-mux=[offer require] SDES-off odd odd-key=1";
    for key in ["rtpp-flags", "rtpp_flags", "flags"] {
        let (options, unknown) = offer(&format!(r#""{key}":"{text}""#));
        assert!(options.flags.contains(Flag::TrustAddress));
        assert!(options.replace.contains(Replace::Origin));
        assert_eq!(options.transport, Some(Transport::RtpSavpf));
        assert_eq!(options.codecs.list(CodecRule::Strip), ["PCMU", "GSM"]);
        assert_eq!(options.to_interface.as_deref(), Some("b"));
        assert!(options.rtcp_mux.contains(RtcpMux::Require));
        assert!(options.sdes.flags.contains(SdesFlag::Off));
        assert_eq!(unknown, ["odd", "odd-key"]);
    }
}

/// drachtio's applications write lists as one string; rtpengine parts it at its commas.
#[test]
fn a_string_in_place_of_a_list_has_commas() {
    let (options, unknown) = offer(
        r#""codec":{"mask":"g729","transcode":"pcmu,pcma"},"codec-strip":"GSM,opus","rtcp-mux":"offer, odd",
        "metadata":"who:me,what:this","SDES":"off,order:A;B""#,
    );
    assert_eq!(options.codecs.list(CodecRule::Mask), ["g729"]);
    assert_eq!(options.codecs.list(CodecRule::Transcode), ["pcmu", "pcma"]);
    assert_eq!(options.codecs.list(CodecRule::Strip), ["GSM", "opus"]);
    assert!(options.rtcp_mux.contains(RtcpMux::Offer));
    assert!(options.sdes.flags.contains(SdesFlag::Off));
    assert_eq!(options.sdes.order, ["A", "B"]);
    assert_eq!(options.metadata.as_deref(), Some("who:me,what:this"));
    assert_eq!(unknown, ["rtcp-mux=odd"]);
    // In a list each string is one item, whatever is in it.
    let (options, _) = offer(r#""codec":{"set":["x/8000/1//mode-set=0,2"]}"#);
    assert_eq!(
        options.codecs.list(CodecRule::Set),
        ["x/8000/1//mode-set=0,2"]
    );
}

#[test]
fn what_is_not_understood_is_said() {
    let (_, unknown) = offer(
        r#""frobnicate":1,"flags":["frob"],"ICE":"melt","ptime":"soon","codec":{"boil":["x"]}"#,
    );
    assert_eq!(
        unknown,
        ["frobnicate", "frob", "ICE=melt", "ptime=soon", "codec-boil"]
    );
}

#[test]
fn a_request_without_what_it_needs_is_refused() {
    let error = |json: &str| read(json).expect_err("refused").to_string();
    assert_eq!(error("{}"), "no command in message");
    assert_eq!(
        error(r#"{"command":"dance"}"#),
        "unrecognised command \"dance\""
    );
    assert_eq!(error(r#"{"command":"query"}"#), "no call-id in message");
    assert_eq!(
        error(r#"{"command":"offer","call-id":"c","from-tag":"f"}"#),
        "no sdp in message"
    );
    let tagless = r#"{"command":"offer","call-id":"c","sdp":"v=0"}"#;
    assert_eq!(error(tagless), "no from-tag in message");
    let half = r#"{"command":"answer","call-id":"c","from-tag":"f","sdp":"v=0"}"#;
    assert_eq!(error(half), "no to-tag in message");
    assert_eq!(
        error(r#"{"command":"play DTMF","call-id":"c"}"#),
        "no code in message"
    );
    assert_eq!(
        error(r#"{"command":"play DTMF","call-id":"c","code":"x"}"#),
        "invalid value for code"
    );
}

#[test]
fn the_other_commands_are_read() {
    let command = |json: &str| read(json).expect("a request").command;
    assert_eq!(
        command(r#"{"command":"list"}"#),
        Command::List { limit: 32 }
    );
    assert_eq!(
        command(r#"{"command":"list","limit":"5"}"#),
        Command::List { limit: 5 }
    );
    let stop = command(r#"{"command":"stop recording","call-id":"c","flags":["pause"]}"#);
    assert!(matches!(stop, Command::Record(RecordVerb::Pause, _)));
    let gate = command(r#"{"command":"block DTMF","call-id":"c","flags":["all"]}"#);
    let Command::Gate(GateVerb::BlockDtmf, gate) = gate else {
        panic!("a gate: {gate:?}");
    };
    assert_eq!(gate.selection.all, Some(All::All));
    let tone = command(r##"{"command":"play DTMF","call-id":"c","code":"#","duration":20}"##);
    let Command::PlayDtmf(tone) = tone else {
        panic!("a tone: {tone:?}");
    };
    assert_eq!((tone.event, tone.duration_ms, tone.volume_db), (11, 100, 8));
    let delete = command(r#"{"command":"delete","call-id":"c","delete-delay":0}"#);
    assert!(matches!(delete, Command::Delete(deletion) if deletion.delay_s == Some(0)));
}

#[test]
fn what_a_client_writes_a_server_reads() {
    let selection = Selection::call("c")
        .from_tag("f")
        .to_tag("t")
        .via_branch("b");
    let negotiation = Box::new(Negotiation {
        selection: selection.clone(),
        sdp: b"v=0\r\n".to_vec(),
        options: all_options(),
        media: None,
    });
    let playback = Playback {
        selection: selection.clone(),
        media: Some(MediaFile::Path("/x.wav".into())),
        repeat_times: 3,
        repeat_duration_ms: 500,
        start_frame: 7,
        options: Options::default(),
    };
    let tone = Tone {
        selection: selection.clone(),
        event: 15,
        duration_ms: 300,
        volume_db: 10,
        pause_ms: 120,
    };
    let recording = Recording {
        selection: selection.clone(),
        file: Some("/r.wav".into()),
        part: Some(2),
        ..Recording::default()
    };
    let selection = Box::new(selection);
    for command in [
        Command::Ping,
        Command::Offer(negotiation.clone()),
        Command::Answer(negotiation.clone()),
        Command::Publish(negotiation.clone()),
        Command::SubscribeAnswer(negotiation),
        Command::Query(selection.clone()),
        Command::List { limit: 7 },
        Command::Statistics,
        Command::Drain,
        Command::Resume,
        Command::Record(RecordVerb::Start, Box::new(recording)),
        Command::PlayMedia(Box::new(playback)),
        Command::PlayDtmf(Box::new(tone)),
        Command::StopMedia(selection.clone()),
        Command::Unsubscribe(selection),
    ] {
        let request = Request::new(command);
        for encoding in [crate::Encoding::Bencode, crate::Encoding::Json] {
            let message = request.encode("k", encoding);
            let dictionary = Frame::split(&message).expect("a frame").dictionary();
            let again = Request::read(&dictionary.expect("sound")).expect("a request");
            assert_eq!(again, request);
        }
    }
}

fn all_options() -> Options {
    let mut options = Options {
        transport: Some(Transport::UdpTlsRtpSavpf),
        ice: Some(Ice::Force),
        ice_lite: Some(IceLite::Both),
        dtls: Some(Dtls::Passive),
        from_interface: Some("pub".into()),
        to_interface: Some("priv".into()),
        media_address: "192.0.2.9".parse().ok(),
        address_family: Some(Family::Ip4),
        received_from: "2001:db8::7".parse().ok(),
        set_label: Some("caller".into()),
        ptime_ms: Some(30),
        record_call: Some(Switch::On),
        supports: vec!["load limit".into()],
        ..Options::default()
    };
    options.flags = Flag::ALL
        .iter()
        .copied()
        .filter(|flag| *flag != Flag::All)
        .collect();
    options.replace = Replace::ALL.iter().copied().collect();
    options.osrtp = Osrtp::ALL.iter().copied().collect();
    options.rtcp_mux = RtcpMux::ALL.iter().copied().collect();
    options.sdes.flags = SdesFlag::ALL.iter().copied().collect();
    options.sdes.only.push("AEAD_AES_256_GCM".into());
    options
        .codecs
        .add(CodecRule::Mask, "G722")
        .add(CodecRule::Offer, "PCMA");
    options
}
