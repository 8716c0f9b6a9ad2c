#![no_main]

#[path = "../src/digest.rs"]
mod digest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| digest::run(input));
