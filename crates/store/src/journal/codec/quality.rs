//! What a closed record says of its recordings and of how good its media was, behind the rest.

use model::{Cdr, CdrLegMedia};

use super::{Bytes, NONE, Put, SOME};

/// Appends it.
pub(super) fn encode(cdr: &Cdr, out: &mut Vec<u8>) {
    let recordings = &cdr.recordings[..cdr.recordings.len().min(RECORDINGS_MAX)];
    out.push(recordings.len() as u8);
    recordings.iter().for_each(|name| out.put_text(name));
    for media in [&cdr.media_a, &cdr.media_b] {
        let Some(media) = media else {
            out.push(NONE);
            continue;
        };
        out.push(SOME);
        encode_leg(media, out);
    }
}

/// Reads it into a record that has the rest.
pub(super) fn decode(from: &mut Bytes<'_>, cdr: &mut Cdr) -> Option<()> {
    let count = from.u8()?;
    cdr.recordings = (0..count).map(|_| from.text()).collect::<Option<_>>()?;
    for media in [&mut cdr.media_a, &mut cdr.media_b] {
        let found = from.optional(|from| decode_leg(from, media.take().unwrap_or_default()))?;
        *media = found;
    }
    Some(())
}

fn encode_leg(media: &CdrLegMedia, out: &mut Vec<u8>) {
    out.extend_from_slice(&media.mos_min_centi.to_le_bytes());
    out.put_optional_u64(media.rtt_us.map(u64::from));
    out.put_optional_u64(media.peer_lost);
    out.put_optional_u64(media.peer_jitter_us.map(u64::from));
    out.put_optional_u64(media.peer_mos_centi.map(u64::from));
    out.extend_from_slice(&media.mos_course_step_s.to_le_bytes());
    let course = &media.mos_course_centi[..media.mos_course_centi.len().min(COURSE_MAX)];
    out.push(course.len() as u8);
    for mos_centi in course {
        out.extend_from_slice(&mos_centi.to_le_bytes());
    }
}

fn decode_leg(from: &mut Bytes<'_>, rest: CdrLegMedia) -> Option<CdrLegMedia> {
    Some(CdrLegMedia {
        mos_min_centi: from.u16()?,
        rtt_us: narrow(from.optional_u64()?)?,
        peer_lost: from.optional_u64()?,
        peer_jitter_us: narrow(from.optional_u64()?)?,
        peer_mos_centi: narrow(from.optional_u64()?)?,
        mos_course_step_s: u32::from_le_bytes(from.array()?),
        mos_course_centi: {
            let count = from.u8()?;
            (0..count).map(|_| from.u16()).collect::<Option<_>>()?
        },
        ..rest
    })
}

fn narrow<T: TryFrom<u64>>(value: Option<u64>) -> Option<Option<T>> {
    value.map(T::try_from).transpose().ok()
}

/// Parts of a recording that one record names.
const RECORDINGS_MAX: usize = 16;
/// Values of the course of a call.
const COURSE_MAX: usize = 65;

#[cfg(test)]
mod tests {
    use crate::conformance::samples;
    use crate::journal::JournalEntry;
    use crate::journal::codec::{CLOSED_BEFORE_QUALITY, decode, decode_closed, encode_cdr};

    #[test]
    fn a_record_of_before_is_still_read() {
        let cdr = samples::cdr(1);
        let mut payload = vec![CLOSED_BEFORE_QUALITY];
        encode_cdr(&cdr, &mut payload);
        assert_eq!(decode(&payload), Some(JournalEntry::Closed(cdr.clone())));
        assert_eq!(decode_closed(&payload), Some(cdr));
    }
}
