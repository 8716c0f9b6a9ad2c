use super::*;
use proptest::prelude::*;

fn apply(file: &mut [u8], patches: [Patch; 2]) {
    for Patch { offset, bytes } in patches {
        let at = offset as usize;
        file[at..at + 4].copy_from_slice(&bytes);
    }
}

#[test]
fn what_is_written_reads_back() {
    let mut file = Vec::new();
    let mut writer = WavWriter::new(8_000, 2, &mut file);
    assert_eq!(writer.push(&[1, -1, 2, -2], &mut file), 4);
    assert_eq!(writer.push(&[i16::MAX, i16::MIN], &mut file), 2);
    assert_eq!(writer.file_bytes(), file.len() as u64);
    apply(&mut file, writer.patches());
    assert_eq!(file[4..8], (file.len() as u32 - 8).to_le_bytes());
    assert_eq!(file[40..44], 12_u32.to_le_bytes());
    let wav = Wav::parse(&file).expect("our own file");
    assert_eq!(wav.format(), WavFormat::pcm(8_000, 2));
    assert_eq!(wav.frames(), 3);
    let samples: Vec<i16> = wav.samples().collect();
    assert_eq!(samples, [1, -1, 2, -2, i16::MAX, i16::MIN]);
    assert_eq!(wav.mono(), [0, 0, 0]);
}

#[test]
fn a_file_whose_writer_died_plays_and_can_be_repaired() {
    let mut file = Vec::new();
    let mut writer = WavWriter::new(16_000, 2, &mut file);
    writer.push(&[7; 20], &mut file);
    file.extend([9, 9, 9]); // Three quarters of a frame.
    let damaged = file.clone();
    let before = Wav::parse(&damaged).expect("as far as it was written");
    assert_eq!(before.frames(), 10);
    let patches = repair(&file[..44], file.len() as u64).expect("a whole header");
    apply(&mut file, patches);
    assert_eq!(file[40..44], 40_u32.to_le_bytes());
    assert_eq!(Wav::parse(&file), Ok(before));
}

#[test]
fn a_file_cut_off_inside_its_header_is_beyond_repair() {
    let mut file = Vec::new();
    let _ = WavWriter::new(8_000, 1, &mut file);
    assert_eq!(repair(&file[..39], 39), Err(WavError::Truncated));
    assert_eq!(repair(&file[..8], 8), Err(WavError::NotWav));
}

#[test]
fn chunks_before_and_after_the_samples_are_passed_over() {
    let mut file = Vec::new();
    let mut writer = WavWriter::new(8_000, 1, &mut file);
    writer.push(&[5, 6], &mut file);
    apply(&mut file, writer.patches());
    // An odd chunk, with its filling, between `fmt ` and `data`.
    let at = 36;
    file.splice(at..at, *b"LIST\x03\0\0\0abc\0");
    file.extend(b"LIST\x02\0\0\0xy");
    let wav = Wav::parse(&file).expect("a file with other chunks");
    assert_eq!(wav.samples().collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn reads_g711_and_8_bits() {
    let with = |samples: SampleFormat, data: &[u8]| {
        let mut file = Vec::new();
        let _ = WavWriter::new(8_000, 1, &mut file);
        file[20..22].copy_from_slice(&samples.tag().to_le_bytes());
        file[34..36].copy_from_slice(&8_u16.to_le_bytes());
        file.extend(data);
        let wav = Wav::parse(&file).expect("a supported format");
        assert_eq!(wav.format().samples, samples);
        wav.samples().collect::<Vec<_>>()
    };
    assert_eq!(with(SampleFormat::Alaw, &[0xd5, 0x55]), [8, -8]);
    assert_eq!(with(SampleFormat::Ulaw, &[0xff, 0x00]), [0, -32_124]);
    assert_eq!(with(SampleFormat::Pcm8, &[0x80, 0x00]), [0, i16::MIN]);
}

#[test]
fn names_what_it_cannot_play() {
    let mut file = Vec::new();
    let _ = WavWriter::new(8_000, 1, &mut file);
    file[20] = 85;
    let unsupported = WavError::Unsupported { tag: 85, bits: 16 };
    assert_eq!(Wav::parse(&file), Err(unsupported));
    file[20] = 1;
    file[22] = 0;
    let malformed = WavError::Malformed {
        channels: 0,
        sample_rate_hz: 8_000,
    };
    assert_eq!(Wav::parse(&file), Err(malformed));
    assert_eq!(Wav::parse(b"OggS"), Err(WavError::NotWav));
}

proptest! {
    #[test]
    fn no_file_panics(
        at in 12_usize..44, bytes in proptest::collection::vec(any::<u8>(), 0..40), rest: Vec<u8>,
    ) {
        let mut file = Vec::new();
        let _ = WavWriter::new(8_000, 2, &mut file);
        file.splice(at..at, bytes);
        file.extend(rest);
        if let Ok(wav) = Wav::parse(&file) {
            prop_assert!(wav.samples().len() <= file.len());
            prop_assert_eq!(wav.mono().len(), wav.frames());
        }
        let _ = repair(&file, file.len() as u64);
    }
}
