//! The fuzz target of this crate over its corpus, and over seeded mutations of it.

#[path = "../../../fuzz/src/description.rs"]
mod description;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

#[test]
fn description() {
    replay::replay(&["fuzz/corpus/sdp"], 100_000, description::run);
}
