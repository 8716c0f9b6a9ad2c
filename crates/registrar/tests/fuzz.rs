//! The fuzz target over its corpus and over seeded mutations of it.

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/registrar.rs"]
mod target;

#[test]
fn registrar() {
    replay::replay(&["fuzz/corpus/registrar"], 50_000, target::run);
}
