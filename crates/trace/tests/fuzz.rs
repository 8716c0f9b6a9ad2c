//! The fuzz target over its corpus and over seeded mutations of it.

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/seen.rs"]
mod seen;

#[test]
fn seen() {
    replay::replay(
        &["fuzz/corpus/seen", "fuzz/corpus/message"],
        40_000,
        seen::run,
    );
}
