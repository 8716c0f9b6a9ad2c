//! What is played into a call that the kernel relays.

use media::{PlayOptions, Prompt, Side, Tone};
use rtp::Header;

use crate::stage::{HOOKS, SESSION, Stage};

#[test]
fn it_is_numbered_after_what_the_kernel_relayed_last() {
    for hook in HOOKS {
        let Some(mut stage) = Stage::new(hook) else {
            return;
        };
        (0..50).for_each(|_| stage.talk());
        let played = stage.engine(|engine| {
            let tone = Prompt::Tone(Tone::busy());
            engine.play(SESSION, Side::B, tone, PlayOptions::once())
        });
        played.expect("played");
        let mut room = [0; 2_048];
        let (len, _) = stage.b.rtp.recv_from(&mut room).expect("in time");
        let first = Header::parse(&room[..len]).expect("RTP");
        assert_ne!(first.ssrc, stage.a.ssrc, "{hook:?}");
        let ahead = first.sequence.wrapping_sub(stage.a.sequence);
        assert_eq!(ahead, 0x7fff - 25, "{hook:?}");
        let ahead = first.timestamp.wrapping_sub(stage.a.timestamp);
        assert_eq!(ahead, 160, "{hook:?}");
    }
}
