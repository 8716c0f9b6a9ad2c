//! What proxies say: each flag, key and value of rtpengine's own manual, of OpenSIPS's module and of
//! drachtio's client is done, or the reply names it. What is done of each is tested where it is done.

use super::*;

/// Flags of offers that are honoured, or ask for what is always so.
const FLAGS_DONE: &[&str] = &[
    "all",
    "allow asymmetric codecs",
    "allow-transcoding",
    "asymmetric",
    "block DTMF",
    "debug",
    "directional",
    "fast",
    "fatal",
    "full-rtcp-attribute",
    "generate-mid",
    "inactive",
    "inject-DTMF",
    "no-redis-update",
    "no-rtcp-attribute",
    "no-tls-id",
    "original-sendrecv",
    "pad-crypto",
    "pause",
    "port-latching",
    "provisional",
    "record-call",
    "recrypt",
    "RTCP-mirror",
    "single-codec",
    "SIP-source-address",
    "skip-recording-db",
    "strict-source",
    "symmetric",
    "tandem-keep-ICE",
    "tandem-over-silence",
    "to-tag",
    "trickle-ICE",
    "trust-address",
    "unidirectional",
    "WebRTC",
    // What stands in a list of its own, as a flag.
    "replace-origin",
    "replace-session-connection",
    "rtcp-mux-offer",
    "rtcp-mux-require",
    "rtcp-mux-demux",
    "rtcp-mux-accept",
    "rtcp-mux-reject",
    "bundle-accept",
    "bundle-offer",
    "bundle-require",
    "bundle-reject",
    "endpoint-learning-off",
    "endpoint-learning-immediate",
    "endpoint-learning-delayed",
    "endpoint-learning-heuristic",
    "OSRTP-offer",
    "OSRTP-offer-RFC",
    "OSRTP-accept",
    "OSRTP-accept-RFC",
    "SDES-off",
    "SDES-no",
    "SDES-disable",
    "SDES-pad",
    "SDES-encrypted_srtp",
    "SDES-encrypted_srtcp",
    "SDES-authenticated_srtp",
    "transcode-PCMU",
    "codec-strip-PCMU",
    "codec-mask-PCMU",
    "codec-offer-PCMA",
    "codec-except-PCMA",
    "codec-accept-PCMA",
    "codec-consume-PCMU",
    "codec-ignore-PCMU",
    "codec-transcode-opus",
    "codec-mask-telephone-event",
    "codec-transcode-telephone-event",
    "codec-set-opus/48000/2/32000",
    "RTP/AVP",
    "RTP/AVPF",
    "RTP/SAVP",
    "RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "UDP/TLS/RTP/SAVPF",
    "sdp-attr-add-audio-x-added",
];

/// Flags that are named: those that nobody does here, and those that nobody knows.
const FLAGS_NAMED: &[&str] = &[
    "allow-no-codec-media",
    "always-transcode",
    "bidirectional",
    "block-egress",
    "block-short",
    "detect-DTMF",
    "discard-recording",
    "early-media",
    "exclude-recording",
    "force-transcoding",
    "generate-RTCP",
    "loop-protect",
    "media-handover",
    "mix",
    "NAT-wait",
    "new-branch",
    "no-port-latching",
    "pierce-NAT",
    "reject-ICE",
    "reset",
    "reuse-codecs",
    "SIPREC",
    "static-codecs",
    "recording announcement",
    "strip-extmap",
    "replace-force-increment-sdp-ver",
    "replace-origin-full",
    "replace-session-name",
    "replace-SDP-version",
    "replace-username",
    "replace-zero-address",
    "bundle-strict",
    "OSRTP-offer-legacy",
    "OSRTP-accept-legacy",
    "SDES-prefer",
    "SDES-lifetime",
    "SDES-static",
    "SDES-nonew",
    "SDES-unencrypted_srtp",
    "SDES-unencrypted_srtcp",
    "SDES-unauthenticated_srtp",
    // Codecs that pass through here: from them and to them nothing can be made.
    "codec-transcode-AMR",
    "codec-mask-G729",
    "codec-consume-G729",
    "codec-set-AMR/8000/1/12200",
    // Of OpenSIPS's module, which rtpengine does not do either.
    "auto-bridge",
    "force",
    "SDES-on",
];

/// Keys of offers that are honoured.
const KEYS_DONE: &[&str] = &[
    r#""via-branch":"1""#,
    r#""label":"caller""#,
    r#""set-label":"caller""#,
    r#""to-label":"callee""#,
    r#""all":"none""#,
    r#""address family":"IP4""#,
    r#""received from":["IP4","127.0.0.1"]"#,
    r#""direction":["here","there"]"#,
    r#""from-interface":"here","to-interface":"there""#,
    r#""interface":"here""#,
    r#""media address":"192.0.2.1""#,
    r#""transport protocol":"RTP/AVP""#,
    r#""ICE":"remove""#,
    r#""ICE":"force""#,
    r#""ICE":"default""#,
    r#""ICE":["force","trickle","lite-both"]"#,
    r#""ICE-lite":"forward""#,
    r#""ICE-lite":"backward""#,
    r#""ICE-lite":"off""#,
    r#""DTLS":"off""#,
    r#""DTLS":"passive""#,
    r#""DTLS-fingerprint":"SHA-256""#,
    r#""SDES":["off","pad"]"#,
    r#""OSRTP":["offer","accept"]"#,
    r#""rtcp-mux":["offer","accept"]"#,
    r#""bundle":["accept","offer"]"#,
    r#""replace":["origin","session connection"]"#,
    r#""codec":{"strip":["PCMU"],"mask":["PCMA"],"transcode":["opus"],"set":["opus/48000/2/32000"]}"#,
    r#""sdp-attr":{"audio":{"add":["x"],"remove":["y"],"substitute":[["sendrecv","sendonly"]]}}"#,
    r#""ptime":40"#,
    // As drachtio's applications write lists: a string, with commas.
    r#""codec":{"mask":"pcma","transcode":"opus,pcmu"}"#,
    r#""codec":{"consume":"all","transcode":["G722"]}"#,
    r#""rtcp-mux":"offer,accept","replace":"origin,session-connection","supports":"load limit""#,
    r#""from-tags":"a,b""#,
    // As jambonz writes its offers.
    r#""replace":["origin","session-connection"],"record call":"no","transport protocol":"RTP/AVP","DTLS":"off",
        "SDES":"off","ICE":"remove","rtcp-mux":["accept"],"direction":["here","there"],
        "flags":["port latching","inject DTMF","strict source"]"#,
    r#""transport-protocol":"UDP/TLS/RTP/SAVPF","ICE":"default","SDES":"off","rtcp-mux":["require"],
        "flags":["generate mid","SDES-no","port latching","pad crypto"]"#,
    // As OpenSIPS's module sends brackets of its scripts.
    r#""codec":{"transcode":["PCMA","PCMU"],"accept":["AMR-WB","AMR"],"strip":["EVS"]}"#,
    r#""sdp-attr":{"audio":{"add":["fmtp:96 useinbandfec=1"]}}"#,
    r#""delete-delay":5"#,
    r#""record-call":"enabled""#,
    // As OpenSIPS's module sends what it does not know: a number in text.
    r#""ptime":"40""#,
    r#""ptime-reverse":40"#,
    r#""TOS":184"#,
    r#""record call":"yes""#,
    r#""record-call":"off""#,
    r#""generate RTCP":"off""#,
    r#""media echo":"both""#,
    r#""media-echo":"blackhole""#,
    r#""drop-traffic":"start""#,
    r#""endpoint-learning":"delayed""#,
    r#""delay-buffer":0"#,
    r#""supports":["load limit"]"#,
    r#""sip-message-type":"sip_request","sip-code":200"#,
    r#""rtpp-flags":"trust-address ICE=remove RTP/AVP codec=[strip=[PCMU]]""#,
];

/// Keys that are named, and by what.
const KEYS_NAMED: &[(&str, &str)] = &[
    (r#""alias key":"SDP""#, "alias key"),
    (r#""audio player":"always""#, "audio player"),
    (r#""bundle":["strict"]"#, "bundle-strict"),
    (r#""codec":{"boil":["x"]}"#, "codec-boil"),
    (
        r#""codec":{"mask":"g729","transcode":"pcmu,pcma"}"#,
        "codec-mask-g729",
    ),
    (
        r#""codec":{"transcode":"pcmu,iLBC"}"#,
        "codec-transcode-iLBC",
    ),
    // As recording servers of drachtio's author write it.
    (
        r#""flags":["media handover","port latching"]"#,
        "media-handover",
    ),
    (r#""replace":"origin,username""#, "replace=username"),
    (
        r#""sdp-media-remove":"video,message,image""#,
        "sdp-media-remove",
    ),
    (r#""delay-buffer":60"#, "delay-buffer"),
    (r#""DTLS":"active""#, "DTLS=active"),
    (r#""DTLS-fingerprint":"SHA-512""#, "DTLS-fingerprint"),
    (r#""DTLS-reverse":"passive""#, "DTLS-reverse"),
    (r#""DTMF-delay":100"#, "DTMF-delay"),
    (r#""DTMF-log-dest":"127.0.0.1:1""#, "DTMF-log-dest"),
    (r#""DTMF-security":"tone""#, "DTMF-security"),
    (r#""DTMF-security-trigger":"drop""#, "DTMF-security-trigger"),
    (
        r#""DTMF-security-trigger-end":"off""#,
        "DTMF-security-trigger-end",
    ),
    (r#""extmap":{"strip":["all"]}"#, "extmap"),
    (r#""file":"/x.wav""#, "file"),
    (r#""frequencies":[400]"#, "frequencies"),
    (r#""generate RTCP":"on""#, "generate-RTCP"),
    (r#""ICE":"optional""#, "ICE"),
    (r#""ICE":"force-relay""#, "ICE"),
    (r#""ICE":["force","ice2"]"#, "ICE=ice2"),
    (r#""inbound-peer":"192.0.2.1""#, "inbound-peer"),
    (r#""media echo":"loud""#, "media echo=loud"),
    (r#""metadata":"who:me""#, "metadata"),
    (r#""OSRTP":["offer-legacy"]"#, "OSRTP-offer-legacy"),
    (r#""outbound-peer":"192.0.2.1""#, "outbound-peer"),
    (r#""output-destination":"x""#, "output-destination"),
    (r#""recording-dir":"/x""#, "recording-dir"),
    (r#""recording-pattern":"x""#, "recording-pattern"),
    (r#""peer":"192.0.2.1""#, "peer"),
    (r#""repacketize":20"#, "repacketize"),
    (r#""replace":["username"]"#, "replace=username"),
    (r#""SDES":["no-AEAD_AES_256_GCM"]"#, "SDES"),
    (r#""SDES":["only-AEAD_AES_256_GCM"]"#, "SDES"),
    (r#""SDES":["order:AES_CM_128_HMAC_SHA1_32;"]"#, "SDES"),
    (
        r#""SDES":["offerer_pref:AES_CM_128_HMAC_SHA1_32;"]"#,
        "SDES",
    ),
    (r#""SDES":["lifetime"]"#, "SDES-lifetime"),
    (r#""sdp-media-remove":["video"]"#, "sdp-media-remove"),
    (r#""T.38":["decode"]"#, "T.38"),
    (r#""T.38":["force","no-ECM"]"#, "T.38"),
    (r#""T.38":["stop"]"#, "T.38"),
    (r#""T.38":["no-V.17"]"#, "no-V.17"),
    (r#""T.38 version":0"#, "T.38 version"),
    (r#""template":"webrtc""#, "template"),
    (r#""transport-protocol":"RTP/ABC""#, "transport-protocol"),
    (r#""trigger":"11""#, "trigger"),
    (r#""trigger-end":"22""#, "trigger-end"),
    (r#""trigger-end-time":5"#, "trigger-end-time"),
    (r#""trigger-end-digits":5"#, "trigger-end-digits"),
    (r#""xmlrpc-callback":"127.0.0.1""#, "xmlrpc-callback"),
];

/// What is said of an offer with these keys; empty if nothing is.
fn said(desk: &mut Desk, keys: &str) -> String {
    let sdp = String::from_utf8_lossy(CALLER).replace("\r\n", r"\r\n");
    let offer =
        format!(r#"{{"command":"offer","call-id":"c","from-tag":"a","sdp":"{sdp}",{keys}}}"#);
    let reply = loop {
        let reply = ask_json(desk, &offer);
        // The worker closes the ports of the call before a little later.
        match &reply {
            Reply::Error { reason } if reason == "Ran out of ports" => std::thread::yield_now(),
            _ => break reply,
        }
    };
    let Reply::Ok(success) = reply else {
        panic!("{keys}: {reply:?}");
    };
    ask_json(
        desk,
        r#"{"command":"delete","call-id":"c","delete-delay":0}"#,
    );
    success.warning.unwrap_or_default()
}

fn desk_for_all() -> (tempfile::TempDir, Desk) {
    let dir = tempfile::tempdir().expect("a directory");
    let recordings = dir.path().to_owned();
    let desk = desk(8, |config| {
        config.engine.recordings = Some(recordings);
        for name in ["here", "there"] {
            let interface = Interface::same(Ipv4Addr::LOCALHOST.into());
            config.engine.named.push(media::NamedInterface {
                name: name.into(),
                v4: Some(interface),
                v6: None,
            });
        }
    });
    (dir, desk)
}

#[test]
fn every_flag_is_done_or_named() {
    let (_dir, mut desk) = desk_for_all();
    for flag in FLAGS_DONE {
        assert_eq!(
            said(&mut desk, &format!(r#""flags":["{flag}"]"#)),
            "",
            "{flag}"
        );
    }
    for flag in FLAGS_NAMED {
        let warning = said(&mut desk, &format!(r#""flags":["{flag}"]"#));
        let name = flag.strip_prefix("replace-").unwrap_or(flag);
        let plain = |text: &str| text.to_ascii_lowercase().replace(' ', "-");
        assert!(
            plain(&warning).contains(&plain(name)),
            "{flag}: {warning:?}"
        );
    }
}

#[test]
fn every_flag_there_is_stands_in_the_table() {
    let in_table = |name: &str| {
        let mut table = FLAGS_DONE.iter().chain(FLAGS_NAMED);
        table.any(|flag| Flag::from_name(flag) == Flag::from_name(name))
    };
    // Of descriptions that are whole, these are.
    let missing: Vec<_> = Flag::ALL.iter().map(|flag| flag.name()).collect();
    let missing: Vec<_> = missing.into_iter().filter(|name| !in_table(name)).collect();
    assert_eq!(missing, ["fragment"]);
}

#[test]
fn every_key_is_done_or_named() {
    let (_dir, mut desk) = desk_for_all();
    for keys in KEYS_DONE {
        assert_eq!(said(&mut desk, keys), "", "{keys}");
    }
    for (keys, name) in KEYS_NAMED {
        let warning = said(&mut desk, keys);
        assert!(warning.contains(name), "{keys}: {warning:?}");
    }
}

/// What drachtio's client can send; OpenSIPS's module sends fewer.
#[test]
fn every_command_is_done_or_refused() {
    let known = [
        "answer",
        "block DTMF",
        "block media",
        "delete",
        "list",
        "offer",
        "ping",
        "play DTMF",
        "play media",
        "publish",
        "query",
        "silence media",
        "start recording",
        "statistics",
        "stop media",
        "stop recording",
        "subscribe answer",
        "subscribe request",
        "unblock DTMF",
        "unblock media",
        "unsilence media",
        "unsubscribe",
    ];
    let mut desk = desk(4, |_| {});
    for command in known {
        let reply = ask_json(&mut desk, &format!(r#"{{"command":"{command}"}}"#));
        let reply = format!("{reply:?}");
        assert!(
            !reply.contains("nrecognized") && !reply.contains("nknown command"),
            "{reply}"
        );
    }
    for command in [
        "start forwarding",
        "stop forwarding",
        "transform",
        "connect",
    ] {
        let request = format!(r#"{{"command":"{command}","call-id":"c","from-tag":"a"}}"#);
        let reply = ask_json(&mut desk, &request);
        assert!(
            matches!(&reply, Reply::Error { .. }),
            "{command}: {reply:?}"
        );
    }
}

#[test]
fn what_other_commands_do_not_do_is_named_too() {
    let (_dir, mut desk) = desk_for_all();
    success(offer(&mut desk, "c"));
    success(answer(&mut desk, "c"));
    for (request, name) in [
        (r#""command":"start recording","metadata":"x""#, "metadata"),
        (
            r#""command":"start recording","recording-dir":"/x""#,
            "recording-dir",
        ),
        (
            r#""command":"stop recording","flags":["discard-recording"]"#,
            "discard-recording",
        ),
        (
            r#""command":"block media","from-tag":"a","flags":["mix"]"#,
            "mix",
        ),
        (
            r#""command":"block media","from-tag":"a","all":"except-offer-answer""#,
            "all=except-offer-answer",
        ),
        (
            r#""command":"block media","from-tag":"a","all":"flows""#,
            "all=flows",
        ),
        (
            r#""command":"subscribe request","flags":["all","siprec","mix"]"#,
            "mix",
        ),
        (
            r#""command":"block DTMF","DTMF-security":"tone""#,
            "DTMF-security",
        ),
        (
            r#""command":"play DTMF","code":5,"from-tag":"a","trigger":"1""#,
            "trigger",
        ),
        (
            r#""command":"delete","flags":["discard-recording"]"#,
            "discard-recording",
        ),
    ] {
        let reply = ask_json(&mut desk, &format!(r#"{{"call-id":"c",{request}}}"#));
        let warning = success(reply).warning.unwrap_or_default();
        assert!(warning.contains(name), "{request}: {warning:?}");
    }
}
