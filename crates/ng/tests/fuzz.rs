//! The fuzz target over its corpus and over seeded mutations of it.

#[path = "../../../fuzz/src/control.rs"]
mod control;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

#[test]
fn control() {
    replay::replay(&["fuzz/corpus/ng"], 200_000, control::run);
}
