#![no_main]

#[path = "../src/seen.rs"]
mod seen;

libfuzzer_sys::fuzz_target!(|input: &[u8]| seen::run(input));
