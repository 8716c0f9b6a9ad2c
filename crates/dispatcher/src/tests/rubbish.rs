//! Damaged messages: whatever comes, nothing panics, and what leaves is a message.

use std::time::Duration;

use proptest::prelude::*;
use sip::HeaderName;

use super::world::{A, B, PHONE, Side, World, inside, request};

/// What passes in a call, and then some: sender and text.
fn messages(world: &mut World) -> Vec<(&'static str, String)> {
    let sent = world.udp(PHONE, &request("INVITE", "c1", "1", ""));
    let invite = &sent[0];
    let routes = invite.all(HeaderName::RecordRoute);
    let registered = world.udp(PHONE, &request("REGISTER", "r1", "r1", ""));
    let path = registered[0].all(HeaderName::Path).remove(0);
    let contact = "Contact: <sip:bob@10.0.0.2:5060>\r\n";
    vec![
        (PHONE, request("INVITE", "c2", "2", "")),
        (
            PHONE,
            request("INVITE", "c1", "1", "").replace("INVITE", "CANCEL"),
        ),
        (
            PHONE,
            request("INVITE", "c1", "1", "").replace("INVITE", "ACK"),
        ),
        (A, invite.answer("302 Moved Temporarily", contact)),
        (
            A,
            invite.answer("503 Service Unavailable", "Retry-After: 5\r\n"),
        ),
        (A, invite.answer("200 OK", "")),
        (PHONE, inside("BYE", "c1", &routes, Side::Caller)),
        (B, inside("INVITE", "c1", &routes, Side::Callee)),
        (
            A,
            request("INVITE", "c3", "3", &format!("Route: {path}\r\n")),
        ),
    ]
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Double(prop::sample::Index, u8),
    Drop(prop::sample::Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, count)| Damage::Double(at, count)),
        (at(), any::<u8>()).prop_map(|(at, count)| Damage::Drop(at, count)),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match damage {
            Damage::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Damage::Cut(at) => bytes.truncate(at.index(length)),
            Damage::Double(at, count) => {
                let at = at.index(length);
                let end = (at + usize::from(*count)).min(length);
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            Damage::Drop(at, count) => {
                let at = at.index(length);
                let end = (at + usize::from(*count)).min(length);
                bytes.drain(at..end);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_that_comes_panics_and_all_that_leaves_is_a_message(
        all in prop::collection::vec((0usize..9, prop::collection::vec(damage(), 0..4)), 1..12)
    ) {
        let mut world = World::new();
        let messages = messages(&mut world);
        for (which, damages) in all {
            let (from, text) = &messages[which];
            let bytes = damaged(text, &damages);
            let flow = super::world::udp(from);
            world.dispatcher.handle_datagram(world.now, flow, &bytes);
            // Panics if what is sent is no message.
            world.sent();
        }
        world.wait(Duration::from_secs(1_000));
        prop_assert_eq!(world.dispatcher.pending_count(), 0, "nothing is left");
    }
}
