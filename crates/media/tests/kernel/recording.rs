//! A call that the kernel relays is recorded as any other, and goes back there afterwards.

use media::{MediaEvent, RecordingOptions, RecordingOutcome};
use testkit::wait_for;

use crate::stage::{HOOKS, SESSION, Stage};

/// A packet of each side, of 20 ms of a level of its own, as text: the stage compares text.
fn speak(stage: &mut Stage, packets: usize) {
    for _ in 0..packets {
        stage.a.say(stage.towards_b, &A_VOICE.repeat(160));
        assert_eq!(stage.b.hear().0, A_VOICE.repeat(160));
        stage.b.say(stage.towards_a, &B_VOICE.repeat(160));
        assert_eq!(stage.a.hear().0, B_VOICE.repeat(160));
    }
}

/// How many samples of each channel are of A's level, and how many of B's.
fn levels(bytes: &[u8]) -> [[usize; 2]; 2] {
    let wav = audio::Wav::parse(bytes).expect("a WAV file");
    let samples: Vec<i16> = wav.samples().collect();
    let levels = [A_VOICE, B_VOICE].map(|text| audio::g711::alaw_decode(text.as_bytes()[0]));
    [0, 1].map(|channel| {
        let of = |level| {
            let channel = samples.iter().skip(channel).step_by(2);
            channel.filter(|sample| **sample == level).count()
        };
        levels.map(of)
    })
}

#[test]
fn a_recording_begins_and_ends_in_the_middle_of_a_call_that_the_kernel_relays() {
    for hook in HOOKS {
        let dir = tempfile::tempdir().expect("a directory");
        let recordings = dir.path().to_owned();
        let stage = Stage::with(hook, |config| config.recordings = Some(recordings));
        let Some(mut stage) = stage else {
            return;
        };
        for part in 1..=2 {
            stage.until_in_kernel();
            speak(&mut stage, 10);
            let before = stage.in_user_space();
            let file = stage
                .engine(|engine| engine.start_recording(SESSION, &RecordingOptions::first("call")));
            assert_eq!(file.expect("a file"), format!("call-{part}.wav"));
            // The order and the packets come to the worker by different ways.
            wait_for("user space to relay", || {
                stage.talk();
                (stage.in_user_space() > before).then_some(())
            });
            speak(&mut stage, 8);
            stage.engine(|engine| engine.stop_recording(SESSION).expect("a recording"));
            stage.until_in_kernel();
            let before = stage.in_user_space();
            speak(&mut stage, 10);
            assert_eq!(
                stage.in_user_space(),
                before,
                "{hook:?}: back in the kernel"
            );
            let recorded = wait_for("its end", || stage.engine(|engine| engine.poll_event()));
            let MediaEvent::Recorded(recorded) = recorded else {
                panic!("{recorded:?}");
            };
            assert_eq!(recorded.outcome, RecordingOutcome::Finished);
            let bytes = std::fs::read(dir.path().join(&recorded.file)).expect("the file");
            let [[left, none_right], [none_left, right]] = levels(&bytes);
            assert!(left >= 640 && right >= 640, "{hook:?}: {left} {right}");
            assert_eq!([none_right, none_left], [0, 0], "{hook:?}");
        }
        let report = stage
            .engine(|engine| engine.delete(SESSION))
            .expect("a session");
        assert_eq!(report.recordings, ["call-1.wav", "call-2.wav"]);
        assert_eq!((report.a.lost, report.b.lost), (0, 0), "{hook:?}");
    }
}

/// Bytes of A-law that are text, too.
const A_VOICE: &str = "a";
const B_VOICE: &str = "Z";
