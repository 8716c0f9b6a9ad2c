#![no_main]

#[path = "../src/audio.rs"]
mod audio_stream;

libfuzzer_sys::fuzz_target!(|input: &[u8]| audio_stream::run(input));
