#![no_main]

#[path = "../src/framing.rs"]
mod framing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| framing::run(input));
