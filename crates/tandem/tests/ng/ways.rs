//! Media that goes back, or nowhere: `media echo` and `drop-traffic`.

use anyhow::Result;
use serde_json::json;

use crate::call::{CALL_ID, Call};

#[test]
fn an_echo_backwards_gives_the_sender_its_own_voice_and_the_other_side_nothing() -> Result<()> {
    let mut call = Call::offered(&json!({"media-echo": "backwards"}))?;
    call.b.say("lost")?;
    call.a.say("mine")?;
    assert_eq!(call.a.hear()?, "mine");
    call.a.say("mine again")?;
    assert_eq!(call.a.hear()?, "mine again");
    // What A has said went nowhere else: B hears the prompt first.
    let file = call.server.directory().join("prompt.wav");
    testkit::write_wav(&file, &testkit::tone(800.0, 0.1))?;
    let play = json!({"from-tag": "b", "file": file});
    call.done("play media", &play);
    assert_eq!(call.b.receive()?.payload.len(), 160);
    Ok(())
}

#[test]
fn an_echo_forwards_or_both_ways_and_a_black_hole() -> Result<()> {
    let mut call = Call::offered(&json!({"media-echo": "both"}))?;
    call.a.say("a")?;
    assert_eq!(call.a.hear()?, "a");
    call.b.say("b")?;
    assert_eq!(call.b.hear()?, "b");

    call.offer(&json!({"media-echo": "forward"}));
    call.answer();
    call.a.say("lost")?;
    call.b.say("b again")?;
    assert_eq!(call.b.hear()?, "b again");

    call.offer(&json!({"media-echo": "blackhole"}));
    call.answer();
    call.a.say("lost")?;
    call.b.say("lost")?;
    let query = call.done("query", &json!({}));
    assert_eq!(query["result"], "ok", "{CALL_ID}: {query}");
    testkit::wait_for("what was dropped to be counted", || {
        let dropped = call.server.metric("tandem_media_packets_dropped_total");
        (dropped >= 3).then_some(())
    });
    Ok(())
}

#[test]
fn traffic_is_dropped_until_it_is_not() -> Result<()> {
    let mut call = Call::new(&[])?.talking()?;
    call.offer(&json!({"drop-traffic": "start"}));
    call.answer();
    call.a.say("lost")?;
    call.b.say("lost")?;
    testkit::wait_for("both to be dropped", || {
        let dropped = call.server.metric("tandem_media_packets_dropped_total");
        (dropped == 2).then_some(())
    });
    call.offer(&json!({"drop-traffic": "stop"}));
    call.answer();
    call.assert_heard("back")
}
