//! A browser that is offered keys in the description and keys by DTLS together, as proxies have it
//! done for RTP/SAVP and RTP/SAVPF without saying whence keys come.

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{Baresip, Browser, Interpreter, MediaServer, Platform};

const ALICE_HZ: u32 = 440;
const BOB_HZ: u32 = 1_000;
/// What the switch asks for a browser in bencode, and what a proxy would that leaves the choice to
/// the two: another profile, and no word about keys in the description.
const WORDS: [(&[u8], &[u8]); 2] = [
    (b"17:UDP/TLS/RTP/SAVPF", b"9:RTP/SAVPF"),
    (b"4:SDESl3:offe", b""),
];

fn interpret(request: &[u8]) -> Vec<u8> {
    let mut out = request.to_vec();
    for (said, meant) in WORDS {
        if let Some(at) = out.windows(said.len()).position(|window| window == said) {
            out.splice(at..at + said.len(), meant.iter().copied());
        }
    }
    out
}

#[test]
fn a_browser_that_is_offered_keys_of_both_kinds_takes_those_by_dtls() -> Result<()> {
    let server = MediaServer::start(env!("CARGO_BIN_EXE_tandem"), &[])?;
    let interpreter = Interpreter::before(server.udp(), interpret)?;
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    platform
        .rest()
        .add_media_server("m1", &interpreter.control(), &json!({}))?;
    let ready = platform.ready();
    let password = &ready.user("bob").password;
    let mut bob = Browser::register("bob", &ready.domain, password, ready.sip.wss, BOB_HZ)?;
    let mut alice = Baresip::register(platform.phone("alice", ALICE_HZ))?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    bob.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    bob.wait_for_tone(ALICE_HZ);
    let answers = interpreter.answers();
    let offer = answers.first().context("an offer for the browser")?;
    for word in [" RTP/SAVPF ", "a=crypto:", "a=fingerprint:"] {
        assert!(offer.contains(word), "{offer}");
    }
    Ok(())
}
