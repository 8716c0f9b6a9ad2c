//! The fuzz target over its corpus and over seeded mutations of it.

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/switch.rs"]
mod target;

#[test]
fn switch() {
    replay::replay(&["fuzz/corpus/switch"], 10_000, target::run);
}
