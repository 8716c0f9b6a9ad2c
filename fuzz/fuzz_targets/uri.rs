#![no_main]

#[path = "../src/uri.rs"]
mod uri;

libfuzzer_sys::fuzz_target!(|input: &[u8]| uri::run(input));
