#![no_main]

#[path = "../src/transactions.rs"]
mod transactions;

libfuzzer_sys::fuzz_target!(|input: &[u8]| transactions::run(input));
