//! Any bytes as a stream of payloads: decoded, put in order, concealed, listened to for keys; and
//! as a WAV file.

use audio::{Codec, DtmfDetector, Incoming, Playout, Pulled, Wav};

/// The first byte chooses the codec; then packets of sequence, payload type, time since the last
/// one, length and payload.
pub(crate) fn run(input: &[u8]) {
    if let Ok(wav) = Wav::parse(input) {
        assert!(wav.mono().len() <= input.len());
        let _ = audio::repair(input, input.len() as u64);
    }
    let Some((choice, mut rest)) = input.split_first() else {
        return;
    };
    let codec = Codec::ALL[usize::from(choice % 4)];
    let rate_hz = [8_000, 16_000, 48_000][usize::from(choice / 4 % 3)];
    let count = rate_hz as usize / 50;
    let formats = vec![
        (0, Incoming::Codec(codec)),
        (1, Incoming::Codec(Codec::Pcma)),
        (13, Incoming::Noise),
    ];
    let mut playout = Playout::new(rate_hz, formats).expect("a known rate");
    let mut detector = DtmfDetector::new(rate_hz);
    let mut now_us = 0;
    while let Some(([high, low, payload_type, passed, length], after)) = rest.split_first_chunk() {
        let (payload, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let sequence = u16::from_be_bytes([*high, *low]);
        playout.push(sequence, *payload_type, payload, now_us);
        now_us += u64::from(*passed) * 1_000;
        let mut samples = Vec::new();
        let pulled = playout.pull(count, now_us, &mut samples);
        assert_eq!(
            samples.len(),
            if pulled == Pulled::Samples { count } else { 0 }
        );
        detector.push(&samples, |_| {});
        assert!(playout.delay_ms() <= 14_000);
    }
}
