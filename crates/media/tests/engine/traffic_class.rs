//! The traffic class that media was asked to be sent with, where it arrives.

use media::{AddressFamily, Engine, Side};
use testkit::Wire;

use crate::peer::{Peer, SESSION, config, rtp_address, signalled};

#[test]
fn what_is_sent_carries_the_traffic_class_over_both_families() {
    for (ip, family) in [("127.0.0.1", AddressFamily::V4), ("::1", AddressFamily::V6)] {
        let mut engine = Engine::new(config(), || {}).expect("an engine");
        let (mut a, b) = (Peer::new(ip), Peer::new(ip));
        let wire = match Wire::listen_to(&[b.address().port()]) {
            Ok(wire) => wire,
            Err(error) if std::env::var_os("CI").is_none() => {
                return eprintln!("skipped: {error:#}");
            }
            Err(error) => panic!("no right to look: {error:#}"),
        };
        let (sdp_a, sdp_b) = (a.sdp(), b.sdp());
        let offer = engine.offer(SESSION, signalled(Side::A, &sdp_a, ip), family);
        offer.expect("an offer");
        let answer = engine.answer(SESSION, signalled(Side::B, &sdp_b, ip));
        let towards_b = rtp_address(&answer.expect("an answer"));
        for traffic_class in [0, 184, 0x88, 0] {
            let set = engine.set_traffic_class(SESSION, traffic_class);
            set.expect("a session");
            // The order comes to the worker before the packet.
            a.say(towards_b, "marked");
            assert_eq!(b.hear().0, "marked");
            let seen = wire.traffic_class_to(b.address().port());
            // Each packet on the loopback is seen as it leaves and as it comes.
            let again = wire.traffic_class_to(b.address().port());
            let seen = [seen.expect("a packet"), again.expect("a packet")];
            assert_eq!(seen, [traffic_class; 2], "{ip}");
        }
    }
}
