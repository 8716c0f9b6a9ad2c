#![no_main]

#[path = "../src/switch.rs"]
mod switch_target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| switch_target::run(input));
