use super::*;

const AUDIO: MediumId = MediumId { slot: 1, stream: 0 };
const VIDEO: MediumId = MediumId { slot: 1, stream: 1 };

fn member(medium: MediumId, mid: &str, payload_types: &[u8], sources: &[u32]) -> Member {
    Member {
        medium,
        mid: mid.into(),
        payload_types: payload_types.to_vec(),
        sources: sources.to_vec(),
    }
}

fn bundle() -> Bundle {
    let audio = member(AUDIO, "a", &[111, 100], &[]);
    Bundle::new(vec![audio, member(VIDEO, "v", &[96, 100], &[50])], Some(4))
}

fn packet(payload_type: u8, ssrc: u32, mid: Option<&str>) -> Vec<u8> {
    let header = Header {
        payload_type,
        ssrc,
        ..Header::default()
    };
    let mut bytes = header.encode().to_vec();
    bytes.push(1);
    let len = bytes.len();
    bytes.resize(len + 32, 0);
    let marked = mid.and_then(|mid| rtp::insert_element(&mut bytes, len, 4, mid.as_bytes()));
    bytes.truncate(marked.unwrap_or(len));
    bytes
}

fn whose(bundle: &mut Bundle, packet: &[u8]) -> Option<MediumId> {
    let packet = Packet::parse(packet).expect("RTP");
    let medium = bundle.of_rtp(&packet)?;
    bundle.note_received(packet.header.ssrc, medium);
    Some(medium)
}

#[test]
fn rtp_is_told_apart_by_name_by_source_and_by_payload_type() {
    let mut bundle = bundle();
    let mut whose = |payload_type, ssrc, mid| whose(&mut bundle, &packet(payload_type, ssrc, mid));
    assert_eq!(whose(111, 1, None), Some(AUDIO));
    assert_eq!(whose(96, 2, None), Some(VIDEO));
    assert_eq!(whose(100, 3, None), None, "both have it");
    assert_eq!(whose(100, 3, Some("x")), None, "nobody is called so");
    assert_eq!(whose(100, 3, Some("v")), Some(VIDEO));
    assert_eq!(whose(100, 3, None), Some(VIDEO), "its source is known");
    assert_eq!(whose(100, 1, None), Some(AUDIO));
    assert_eq!(whose(100, 1, Some("v")), Some(VIDEO), "a name is stronger");
    assert_eq!(whose(100, 50, None), Some(VIDEO), "announced");
}

#[test]
fn a_new_negotiation_forgets_the_sources_of_media_that_left() {
    let mut bundle = bundle();
    assert_eq!(whose(&mut bundle, &packet(111, 1, None)), Some(AUDIO));
    assert_eq!(whose(&mut bundle, &packet(96, 2, None)), Some(VIDEO));
    bundle.update(Bundle::new(vec![member(AUDIO, "a", &[8], &[])], None));
    assert_eq!(whose(&mut bundle, &packet(100, 1, None)), Some(AUDIO));
    assert_eq!(whose(&mut bundle, &packet(100, 2, None)), None);
}

#[test]
fn two_media_cannot_speak_as_one_source() {
    let mut bundle = bundle();
    assert!(bundle.note_sent(AUDIO, 7) && bundle.note_sent(AUDIO, 7));
    assert!(!bundle.note_sent(VIDEO, 7));
    assert!(bundle.note_sent(VIDEO, 8));
}

#[test]
fn rtcp_is_cut_into_what_is_of_each() {
    let mut bundle = bundle();
    whose(&mut bundle, &packet(111, 1, None));
    whose(&mut bundle, &packet(96, 2, None));
    assert!(bundle.note_sent(AUDIO, 7) && bundle.note_sent(VIDEO, 8));
    let cut = |bytes: &[u8]| {
        let mut found = Vec::new();
        bundle.of_rtcp(bytes, |medium, frame| found.push((medium, frame.to_vec())));
        found
    };
    let loss = |about: u8| vec![0x81, 206, 0, 2, 0, 0, 0, 99, 0, 0, 0, about];
    assert_eq!(cut(&loss(8)), [(VIDEO, loss(8))]);
    let both = [loss(7), loss(8)].concat();
    assert_eq!(cut(&both), [(AUDIO, loss(7)), (VIDEO, loss(8))]);
    let refresh = [
        0x84, 206, 0, 4, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0,
    ];
    assert_eq!(cut(&refresh), [(VIDEO, refresh.to_vec())]);
    let mut report = vec![0x80, 200, 0, 6, 0, 0, 0, 2];
    report.resize(28, 0);
    let name = vec![0x81, 202, 0, 2, 0, 0, 0, 2, 1, 1, b'x', 0];
    let compound = [report.clone(), name.clone()].concat();
    assert_eq!(cut(&compound), [(VIDEO, compound.clone())]);
    let three = [loss(7), compound.clone()].concat();
    assert_eq!(cut(&three), [(AUDIO, loss(7)), (VIDEO, compound)]);
    // Somebody who sends nothing says what it hears.
    let mut heard = vec![0x81, 201, 0, 7, 0, 0, 0, 99, 0, 0, 0, 8];
    heard.resize(32, 0);
    assert_eq!(cut(&heard), [(VIDEO, heard.clone())]);
    let goodbye = vec![0x81, 203, 0, 1, 0, 0, 0, 77];
    assert_eq!(cut(&goodbye), [(AUDIO, goodbye.clone())], "nobody knows");
    assert_eq!(cut(&[0x80, 201]), []);
}
