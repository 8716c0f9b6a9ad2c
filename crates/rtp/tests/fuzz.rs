//! The fuzz target of this crate over its corpus, and over seeded mutations of it.

#[path = "../../../fuzz/src/packet.rs"]
mod packet;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

#[test]
fn packet() {
    replay::replay(&["fuzz/corpus/rtp"], 200_000, packet::run);
}
