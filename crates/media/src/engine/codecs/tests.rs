use super::*;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
const OPUS: &str = "m=audio 4000 RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 useinbandfec=1\r\na=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-16\r\n";
const G711: &str = "m=audio 4002 RTP/AVP 8 0 101 13\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=ptime:20\r\n";
const G729: &str = "m=audio 4004 RTP/AVP 18 101\r\na=rtpmap:18 G729/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";

fn options(change: impl FnOnce(&mut CodecChanges)) -> Options {
    let mut options = Options::default();
    change(&mut options.codecs);
    options
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// The formats of the `m=` line that the other side is shown.
fn shown(media: &str, options: &Options) -> String {
    let text = format!("{HEAD}{media}");
    let description = Description::parse(text.as_bytes()).expect("a description");
    let out = offer(&description, options).unwrap_or(text.clone().into_bytes());
    let out = String::from_utf8(out).expect("text");
    let line = out.lines().find(|line| line.starts_with("m=")).expect("m=");
    line.split(' ').skip(3).collect::<Vec<_>>().join(" ")
}

/// What the offerer is answered, and what is transcoded.
fn answered(
    offered: &str,
    answered: &str,
    options: &Options,
) -> (String, Option<[DirectionPlan; 2]>) {
    let [offered, answered] = [offered, answered].map(|media| format!("{HEAD}{media}"));
    let parse = |text: &'static str| Description::parse(text.as_bytes()).expect("a description");
    let offered = parse(offered.leak());
    let answered = parse(answered.leak());
    let shown = offer(&offered, options).map(|bytes| String::from_utf8(bytes).expect("text"));
    let shown = shown.map(|text| parse(text.leak()));
    let mut out = answer(&offered, shown.as_ref(), &answered, options);
    let text = out.recoded.unwrap_or(answered.as_bytes().to_vec());
    (
        String::from_utf8(text).expect("text"),
        out.plans.pop().flatten(),
    )
}

#[test]
fn offers_are_changed_as_asked() {
    type Change = fn(&mut CodecChanges);
    let cases: [(&str, Change, &str); 10] = [
        (G711, |_| {}, "8 0 101 13"),
        (G711, |c| c.strip = names(&["PCMA"]), "0 101 13"),
        (G711, |c| c.strip = names(&["all"]), "101 13"),
        (
            G711,
            |c| {
                c.strip = names(&["all"]);
                c.except = names(&["PCMU"]);
            },
            "0 101 13",
        ),
        (
            G711,
            |c| {
                c.mask = names(&["all"]);
                c.transcode = names(&["opus"]);
            },
            "96 101 13",
        ),
        (
            G711,
            |c| c.transcode = names(&["opus/48000/2", "PCMA"]),
            "8 0 96 101 13",
        ),
        (G711, |c| c.offer = names(&["PCMU"]), "0 8 101 13"),
        (
            OPUS,
            |c| c.transcode = names(&["G722", "PCMA"]),
            "111 9 8 101",
        ),
        (OPUS, |c| c.strip = names(&["full"]), "111 101"),
        // Nothing can be made of it: hidden, there would be no speech at all.
        (
            G729,
            |c| {
                c.mask = names(&["g729"]);
                c.transcode = names(&["pcmu", "pcma"]);
            },
            "18 101",
        ),
    ];
    for (media, change, wanted) in cases {
        let options = options(change);
        assert_eq!(shown(media, &options), wanted, "{:?}", options.codecs);
    }
}

#[test]
fn a_common_codec_passes_as_it_is() {
    let options = options(|c| c.transcode = names(&["opus"]));
    let (text, plan) = answered(G711, "m=audio 5000 RTP/AVP 0\r\n", &options);
    assert_eq!(plan, None);
    assert!(text.ends_with("m=audio 5000 RTP/AVP 0\r\n"));
}

#[test]
fn opus_and_g711_are_joined_with_each_its_own_numbers_and_events() {
    let options = options(|c| c.transcode = names(&["PCMA"]));
    let answer = "m=audio 5000 RTP/AVP 8\r\na=sendrecv\r\n";
    let (text, plan) = answered(OPUS, answer, &options);
    assert!(
        text.contains("m=audio 5000 RTP/AVP 111 101\r\na=sendrecv\r\n"),
        "{text}"
    );
    assert!(text.contains("a=rtpmap:111 opus/48000/2\r\n"), "{text}");
    assert!(
        text.contains("a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-16"),
        "{text}"
    );
    let [to_answerer, to_offerer] = plan.expect("it is transcoded");
    assert_eq!(
        (to_answerer.codec, to_answerer.payload_type),
        (Codec::Pcma, 8)
    );
    assert_eq!(to_answerer.incoming, [(111, Incoming::Codec(Codec::Opus))]);
    assert_eq!(to_answerer.keys_out, KeysOut::Tones, "keys become tones");
    assert_eq!(
        (to_offerer.codec, to_offerer.payload_type),
        (Codec::Opus, 111)
    );
    let events = EventFormat {
        payload_type: 101,
        clock_rate_hz: 48_000,
    };
    assert_eq!(to_offerer.keys_out, KeysOut::Events(events));
    assert_eq!(
        (to_offerer.opus.fec, to_offerer.opus.bitrate_bps),
        (Fec::On, 16_000)
    );
    assert_eq!(to_answerer.sample_rate_hz(), 8_000);
}

const WITH_EVENTS: &str = "m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n";
const BARE: &str = "m=audio 5000 RTP/AVP 8\r\n";

fn keys(own_keys: KeyForm, keys: KeyForm) -> Options {
    Options {
        own_keys,
        keys,
        ..Options::default()
    }
}

#[test]
fn who_takes_no_events_is_offered_none_and_gets_keys_in_its_own_form() {
    for (form, out) in [
        (KeyForm::Tones, KeysOut::Tones),
        (KeyForm::Messages, KeysOut::Told),
    ] {
        let options = keys(KeyForm::Events, form);
        assert_eq!(shown(WITH_EVENTS, &options), "8");
        let (text, plan) = answered(WITH_EVENTS, BARE, &options);
        assert!(text.contains("a=rtpmap:101 telephone-event/8000"), "{text}");
        let [to_answerer, to_offerer] = plan.expect("keys are made into another form");
        assert_eq!(to_answerer.keys_out, out);
        assert!(matches!(to_answerer.keys_in, KeysIn::Events(_)));
        assert!(matches!(to_offerer.keys_out, KeysOut::Events(_)));
        let listens = to_offerer.keys_in == KeysIn::Tones;
        assert_eq!(listens, form == KeyForm::Tones);
    }
}

#[test]
fn who_takes_events_is_offered_them_although_the_offerer_has_none() {
    let options = keys(KeyForm::Messages, KeyForm::Events);
    let offer = "m=audio 4000 RTP/AVP 8\r\n";
    assert_eq!(shown(offer, &options), "8 96");
    let answer = "m=audio 5000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\n";
    let (text, plan) = answered(offer, answer, &options);
    assert!(!text.contains("telephone-event"), "{text}");
    let [to_answerer, to_offerer] = plan.expect("keys are made into another form");
    assert!(matches!(to_answerer.keys_out, KeysOut::Events(_)));
    assert_eq!(to_answerer.keys_in, KeysIn::Elsewhere);
    assert_eq!(to_offerer.keys_out, KeysOut::Told);
}

#[test]
fn keys_of_one_form_pass_as_they_are() {
    for form in [KeyForm::Events, KeyForm::Tones, KeyForm::Messages] {
        let options = keys(form, form);
        assert_eq!(answered(WITH_EVENTS, WITH_EVENTS, &options).1, None);
    }
}

#[test]
fn a_masked_codec_is_still_taken_from_the_offerer() {
    let options = options(|c| {
        c.mask = names(&["all"]);
        c.transcode = names(&["opus"]);
    });
    let answer = "m=audio 5000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n";
    let (text, plan) = answered(G711, answer, &options);
    assert!(text.contains("RTP/AVP 8 101\r\n"), "{text}");
    let [to_answerer, to_offerer] = plan.expect("it is transcoded");
    assert_eq!((to_answerer.payload_type, to_offerer.payload_type), (96, 8));
    let noise = (13, Incoming::Noise);
    assert!(to_answerer.incoming.contains(&noise));
}

#[test]
fn another_packet_time_of_the_same_codec_is_made() {
    let options = Options {
        ptime_ms: Some(40),
        ..Options::default()
    };
    assert_eq!(shown(G711, &options), "8 0 101 13");
    let (text, plan) = answered(G711, "m=audio 5000 RTP/AVP 8\r\n", &options);
    assert!(text.contains("a=ptime:20\r\n"), "{text}");
    let [to_answerer, to_offerer] = plan.expect("it is packed anew");
    assert_eq!(
        (to_answerer.codec, to_answerer.packet_ms),
        (Codec::Pcma, 40)
    );
    assert_eq!((to_offerer.codec, to_offerer.packet_ms), (Codec::Pcma, 20));
}

#[test]
fn what_is_not_known_is_left_alone() {
    let options = options(|c| c.transcode = names(&["PCMA", "AMR-WB", ""]));
    let g729 = "m=audio 5000 RTP/AVP 18\r\n";
    assert_eq!(shown(g729, &options), "18", "nothing can be made of it");
    assert_eq!(answered(g729, g729, &options).1, None);
    let pcma = "m=audio 5000 RTP/AVP 8\r\n";
    assert_eq!(answered(g729, pcma, &options).1, None, "G.729 only passes");
    assert_eq!(
        shown(
            "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
            &options
        ),
        "96"
    );
}
