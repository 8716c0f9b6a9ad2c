#![no_main]

#[path = "../src/registrar.rs"]
mod registrar_target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| registrar_target::run(input));
