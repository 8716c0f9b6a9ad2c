//! The fuzz target of this crate over its corpus, and over seeded mutations of it.

#[path = "../../../fuzz/src/audio.rs"]
mod audio_stream;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

#[test]
fn streams_and_files() {
    replay::replay(&["fuzz/corpus/audio"], 20_000, audio_stream::run);
}
