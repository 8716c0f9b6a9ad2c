//! Any bytes as a message that is kept: it is found and read again, its secrets are gone, and all that
//! is made of it can be made.

use trace::{
    Batch, Bodies, Direction, ENTRY_BYTES, Entry, Ladder, Passage, Seen, Transport, Wanted,
    Witnessed,
};

pub(crate) fn run(input: &[u8]) {
    for (bodies, direction) in [
        (Bodies::Kept, Direction::Received),
        (Bodies::WithoutTexts, Direction::Sent),
        (Bodies::LeftOut, Direction::Elsewhere),
    ] {
        let (entry, seen) = kept(input, bodies, direction);
        assert_eq!(
            seen.payload.len() + seen.left_out_bytes as usize,
            input.len()
        );
        assert!(Wanted::default().prints().take(&entry));
        let (_, again) = kept(&seen.payload, bodies, direction);
        assert_eq!(again.payload, seen.payload, "what is hidden stays so");
        let _ = trace::pcap(&[seen.clone(), again.clone()]);
        let messages = [("edge", seen), ("berlin", again)].map(|(node, seen)| Witnessed {
            id: "0-0".into(),
            node: node.into(),
            seen,
        });
        let _ = trace::text(&messages);
        let ladder = Ladder::of(&messages, None);
        assert_eq!(ladder.rungs.len(), 2, "two went the same way");
        assert_eq!(trace::each_once(messages.into()).len(), 2);
    }
    let _ = Seen::decode(input);
}

/// What is kept of a message, and its entry.
fn kept(message: &[u8], bodies: Bodies, direction: Direction) -> (Entry, Seen) {
    let passage = Passage {
        at_us: 1_700_000_000_000_000,
        transport: Transport::Udp,
        direction,
        from: ([192, 0, 2, 1], 5060).into(),
        to: ([192, 0, 2, 2], 5060).into(),
        node: "",
        correlation: b"id",
    };
    let mut batch = Batch::default();
    batch.push(&passage, message);
    let (mut out, mut entries) = (Vec::new(), Vec::new());
    let span = batch.encode(bodies, 0, &mut out, &mut entries);
    assert!(span.is_some(), "there is one message");
    let entry: &[u8; ENTRY_BYTES] = entries.first_chunk().expect("an entry");
    let seen = Seen::decode(&out).expect("a message");
    (Entry::decode(entry), seen)
}
