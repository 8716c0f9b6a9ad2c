#![no_main]

#[path = "../src/description.rs"]
mod description;

libfuzzer_sys::fuzz_target!(|input: &[u8]| description::run(input));
