//! What is played, blocked and silenced.

use std::time::Duration;

use audio::{WavWriter, g711};
use media::{
    AddressFamily, Audio, Barrier, DigitForm, Key, MediaError, MediaEvent, Over, Passage,
    PlayOptions, Prompt, Side, Times, Tone,
};
use rtp::{Packet, TelephoneEvent};

use crate::peer::{Call, EVENT, PCMA, Peer, SESSION, from, receive, settle};

fn packet(peer: &Peer) -> Vec<u8> {
    receive(&peer.rtp).0
}

fn played(call: &mut Call) -> MediaEvent {
    // A packet of A's tells that the worker was there; the event comes before it.
    call.a.say(call.towards_b, "after");
    assert_eq!(call.b.hear().0, "after");
    call.engine.poll_event().expect("an event")
}

#[test]
fn a_prompt_comes_in_time_and_replaces_what_the_other_side_says() {
    let mut call = Call::new();
    let mut wav = Vec::new();
    WavWriter::new(8_000, 1, &mut wav).push(&[8_000; 480], &mut wav);
    let prompt = Prompt::Audio(Audio::from_wav(&wav).expect("a WAV file"));
    let options = PlayOptions {
        times: Times::Exactly(2),
        ..PlayOptions::once()
    };
    call.engine
        .play(SESSION, Side::B, prompt, options)
        .expect("played");
    let packets: Vec<_> = (0..6).map(|_| packet(&call.b)).collect();
    let packets: Vec<_> = packets
        .iter()
        .map(|bytes| Packet::parse(bytes).expect("RTP"))
        .collect();
    let first = packets[0].header;
    assert!(first.marker);
    for (i, packet) in (0..).zip(&packets) {
        let header = packet.header;
        assert_eq!(header.payload_type, PCMA);
        assert_eq!(header.ssrc, first.ssrc);
        assert_eq!(header.sequence, first.sequence.wrapping_add(i));
        let ticks = header.timestamp.wrapping_sub(first.timestamp);
        assert_eq!(ticks, u32::from(i) * 160);
        assert_eq!(packet.payload, [g711::alaw_encode(8_000); 160]);
    }
    let event = played(&mut call);
    let (session, side) = (SESSION, Side::B);
    assert_eq!(event, MediaEvent::Played { session, side });
}

#[test]
fn a_tone_sounds_until_it_is_stopped() {
    let mut call = Call::new();
    let options = PlayOptions::once();
    let tone = || Prompt::Tone(Tone::sine(440.0, -10.0));
    call.engine
        .play(SESSION, Side::B, tone(), options)
        .expect("played");
    let first = packet(&call.b);
    call.a.say(call.towards_b, "not heard");
    for _ in 0..5 {
        assert_eq!(packet(&call.b)[8..12], first[8..12]);
    }
    // A is not touched by it.
    call.b.say(call.towards_a, "heard");
    assert_eq!(call.a.hear().0, "heard");
    call.engine.stop_playing(SESSION, Side::B).expect("stopped");
    settle(&mut call.engine);
    call.a.say(call.towards_b, "heard again");
    while packet(&call.b)[12..] != *b"heard again" {}
}

#[test]
fn what_is_played_over_silence_waits_while_the_other_side_speaks() {
    let mut call = Call::new();
    let options = PlayOptions {
        over: Over::Silence,
        ..PlayOptions::once()
    };
    let tone = Prompt::Tone(Tone::sine(440.0, -10.0));
    call.engine
        .play(SESSION, Side::B, tone, options)
        .expect("played");
    let first = packet(&call.b);
    // Keys and comfort noise are no voice.
    for payload_type in [EVENT, 13, EVENT, 13, EVENT, 13] {
        let quiet = call.a.packet(payload_type, "----");
        call.a.rtp.send_to(&quiet, call.towards_b).expect("sent");
    }
    // Nor is this yet more than what was left over of a talk.
    for text in ["1", "2", "3", "4", "5", "6", "7"] {
        call.a.say(call.towards_b, text);
    }
    let heard = || packet(&call.b)[12..].to_vec();
    let played = |payload: &Vec<u8>| payload.len() == 160;
    let mut talk = std::iter::repeat_with(heard).skip_while(played);
    let talk: Vec<_> = [(); 3].map(|()| talk.next().expect("voice")).into();
    assert_eq!(talk, [b"5", b"6", b"7"]);
    // Nobody speaks any more.
    let again = packet(&call.b);
    assert_eq!((again.len(), &again[8..12]), (172, &first[8..12]));
    assert!(again[1] & 0x80 != 0, "it begins anew");
}

#[test]
fn what_is_played_follows_a_change_of_codec() {
    let mut call = Call::new();
    let tone = Prompt::Tone(Tone::sine(440.0, -10.0));
    call.engine
        .play(SESSION, Side::B, tone, PlayOptions::once())
        .expect("played");
    let first = packet(&call.b);
    assert_eq!(
        Packet::parse(&first).expect("RTP").header.payload_type,
        PCMA
    );
    let [a, b] = [&call.a, &call.b].map(|peer| {
        let sdp = peer.sdp().replace("RTP/AVP 8 101", "RTP/AVP 0 101");
        sdp.replace("a=rtpmap:8 PCMA", "a=rtpmap:0 PCMU")
    });
    call.engine
        .offer(SESSION, from(Side::A, &a), AddressFamily::V4)
        .expect("an offer");
    call.engine
        .answer(SESSION, from(Side::B, &b))
        .expect("an answer");
    settle(&mut call.engine);
    let bytes = std::iter::repeat_with(|| packet(&call.b));
    let bytes = bytes.take(20).collect::<Vec<_>>();
    let packets = bytes.iter().map(|bytes| Packet::parse(bytes).expect("RTP"));
    let changed: Vec<_> = packets
        .skip_while(|packet| packet.header.payload_type == PCMA)
        .collect();
    assert!(changed.len() > 5, "{}", changed.len());
    for pair in changed.windows(2) {
        let [one, next] = [pair[0].header, pair[1].header];
        assert_eq!((one.payload_type, next.payload_type), (0, 0));
        assert_eq!(next.sequence, one.sequence.wrapping_add(1));
        assert_eq!(next.timestamp.wrapping_sub(one.timestamp), 160);
    }
}

#[test]
fn keys_are_no_voice_also_by_the_numbers_that_they_were_given_later() {
    let mut call = Call::new();
    let options = PlayOptions {
        over: Over::Silence,
        ..PlayOptions::once()
    };
    let tone = Prompt::Tone(Tone::sine(440.0, -10.0));
    call.engine
        .play(SESSION, Side::B, tone, options)
        .expect("played");
    packet(&call.b);
    let [a, b] = [&call.a, &call.b].map(|peer| {
        let sdp = peer.sdp().replace("RTP/AVP 8 101", "RTP/AVP 8 96");
        sdp.replace("a=rtpmap:101", "a=rtpmap:96")
    });
    call.engine
        .offer(SESSION, from(Side::A, &a), AddressFamily::V4)
        .expect("an offer");
    call.engine
        .answer(SESSION, from(Side::B, &b))
        .expect("an answer");
    settle(&mut call.engine);
    for _ in 0..20 {
        let key = call.a.packet(96, "----");
        call.a.rtp.send_to(&key, call.towards_b).expect("sent");
    }
    // The tone alone is heard, for longer than it would wait for a voice to go on.
    for _ in 0..30 {
        assert_eq!(packet(&call.b).len(), 172);
    }
}

#[test]
fn a_tone_ends_with_its_time() {
    let mut call = Call::new();
    let options = PlayOptions {
        times: Times::Forever,
        duration: Some(Duration::from_millis(60)),
        ..PlayOptions::once()
    };
    let tone = Prompt::Tone(Tone::busy());
    call.engine
        .play(SESSION, Side::A, tone, options)
        .expect("played");
    (0..3).for_each(|_| assert_eq!(packet(&call.a).len(), 172));
    let event = played(&mut call);
    let (session, side) = (SESSION, Side::A);
    assert_eq!(event, MediaEvent::Played { session, side });
}

#[test]
fn digits_are_events_that_end_three_times() {
    let mut call = Call::new();
    let keys = "4#".chars().filter_map(Key::from_char).collect();
    let form = DigitForm::Events;
    let prompt = Prompt::Digits { keys, form };
    call.engine
        .play(SESSION, Side::B, prompt, PlayOptions::once())
        .expect("played");
    for key in ['4', '#'] {
        let packets: Vec<_> = (0..8).map(|_| packet(&call.b)).collect();
        let packets: Vec<_> = packets
            .iter()
            .map(|bytes| Packet::parse(bytes).expect("RTP"))
            .collect();
        assert!(packets[0].header.marker);
        for packet in &packets {
            assert_eq!(packet.header.payload_type, EVENT);
            assert_eq!(packet.header.timestamp, packets[0].header.timestamp);
        }
        let events: Vec<_> = packets
            .iter()
            .map(|packet| TelephoneEvent::parse(packet.payload).expect("an event"))
            .collect();
        assert!(events.iter().all(|event| event.digit() == Some(key)));
        let durations: Vec<_> = events.iter().map(|e| (e.duration, e.end)).collect();
        assert_eq!(
            durations[..5],
            [160, 320, 480, 640, 800].map(|d| (d, false))
        );
        assert_eq!(durations[5..], [(800, true); 3]);
    }
}

#[test]
fn a_barrier_holds_up_what_it_should_and_nothing_else() {
    let mut call = Call::new();
    let set = |call: &mut Call, barrier, passage| {
        let result = call.engine.set_barrier(SESSION, Side::A, barrier, passage);
        result.expect("a barrier");
        settle(&mut call.engine);
    };
    set(&mut call, Barrier::Dtmf, Passage::Closed);
    let event = call.a.packet(EVENT, "\u{5}\u{a}\u{0}\u{50}");
    call.a.rtp.send_to(&event, call.towards_b).expect("sent");
    call.a.say(call.towards_b, "voice");
    assert_eq!(call.b.hear().0, "voice");

    set(&mut call, Barrier::Dtmf, Passage::Open);
    set(&mut call, Barrier::Voice, Passage::Closed);
    call.a.say(call.towards_b, "secret");
    let silent = packet(&call.b);
    assert_eq!(silent[12..], [g711::ALAW_SILENCE; 6]);
    call.a.rtp.send_to(&event, call.towards_b).expect("sent");
    assert_eq!(packet(&call.b), event);

    set(&mut call, Barrier::Media, Passage::Closed);
    call.a.say(call.towards_b, "nothing");
    call.b.say(call.towards_a, "the other way");
    assert_eq!(call.a.hear().0, "the other way");
    set(&mut call, Barrier::Media, Passage::Open);
    set(&mut call, Barrier::Voice, Passage::Open);
    call.a.say(call.towards_b, "free");
    assert_eq!(call.b.hear().0, "free");
    assert_eq!(call.engine.report(SESSION).expect("a session").a.packets, 7);
}

#[test]
fn nothing_is_played_before_an_answer_or_to_nobody() {
    let mut call = Call::new();
    let tone = || Prompt::Tone(Tone::busy());
    let options = PlayOptions::once();
    let error = call.engine.play(99, Side::A, tone(), options);
    assert!(matches!(error, Err(MediaError::NoSession)));
}

#[test]
fn all_that_is_played_to_a_side_is_one_stream_that_repeats_no_number() {
    let mut call = Call::new();
    let mut heard = Vec::new();
    for _ in 0..2 {
        let mut wav = Vec::new();
        WavWriter::new(8_000, 1, &mut wav).push(&[8_000; 480], &mut wav);
        let prompt = Prompt::Audio(Audio::from_wav(&wav).expect("a WAV file"));
        call.engine
            .play(SESSION, Side::B, prompt, PlayOptions::once())
            .expect("played");
        heard.extend((0..3).map(|_| packet(&call.b)));
    }
    let heard: Vec<_> = heard
        .iter()
        .map(|bytes| Packet::parse(bytes).expect("RTP").header)
        .collect();
    for (i, header) in (0..).zip(&heard) {
        assert_eq!(header.ssrc, heard[0].ssrc);
        assert_eq!(header.sequence, heard[0].sequence.wrapping_add(i));
        let ticks = header.timestamp.wrapping_sub(heard[0].timestamp);
        assert_eq!(ticks, u32::from(i) * 160);
    }
    // What the other side has said in the meantime is passed by.
    for _ in 0..10 {
        call.a.say(call.towards_b, "on");
        call.b.hear();
    }
    call.engine
        .play(
            SESSION,
            Side::B,
            Prompt::Tone(Tone::busy()),
            PlayOptions::once(),
        )
        .expect("played");
    let next = packet(&call.b);
    let next = Packet::parse(&next).expect("RTP").header;
    assert_eq!(next.ssrc, heard[0].ssrc);
    assert_eq!(next.sequence, heard[0].sequence.wrapping_add(10));
}
