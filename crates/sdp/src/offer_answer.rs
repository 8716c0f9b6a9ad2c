//! Judging an answer against its offer (RFC 3264 §6), and an offer against the last one
//! (RFC 3264 §8).

use crate::{Description, Media};

/// Why an answer does not fit its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The answer has more or fewer media (RFC 3264 §6).
    #[error("the offer has {offered} media, the answer {answered}")]
    MediaCount {
        /// Media offered.
        offered: usize,
        /// Media answered.
        answered: usize,
    },
    /// A medium is of another kind than the offered one in its place.
    #[error("medium {index} is of another kind than offered")]
    Kind {
        /// Which, counted from 0.
        index: usize,
    },
    /// A medium that is not refused has another transport (RFC 3264 §6.1).
    #[error("medium {index} has another transport than offered")]
    Proto {
        /// Which, counted from 0.
        index: usize,
    },
    /// The offer had refused the medium; an answer cannot open it (RFC 3264 §6).
    #[error("medium {index} was not offered, the answer opens it")]
    Revived {
        /// Which, counted from 0.
        index: usize,
    },
    /// None of the formats of a medium was offered (RFC 3264 §6.1).
    #[error("medium {index} has no format in common with the offer")]
    NoCommonFormat {
        /// Which, counted from 0.
        index: usize,
    },
    /// The direction does not answer the offered one (RFC 3264 §6.1).
    #[error("the direction of medium {index} does not answer the offered one")]
    Direction {
        /// Which, counted from 0.
        index: usize,
    },
}

/// Checks that an answer fits an offer.
///
/// # Errors
/// The first rule that is broken, in the order of the media. [`AnswerError::Direction`] comes
/// last of all, as many devices break that rule and are understood nevertheless: whoever gets
/// it knows that all else fits.
pub fn check_answer(offer: &Description<'_>, answer: &Description<'_>) -> Result<(), AnswerError> {
    let (offered, answered) = (offer.media_count(), answer.media_count());
    if offered != answered {
        return Err(AnswerError::MediaCount { offered, answered });
    }
    for (offered, answered) in offer.media().zip(answer.media()) {
        check_medium(&offered, &answered)?;
    }
    for (offered, answered) in offer.media().zip(answer.media()) {
        if !answered.is_rejected() && !answered.direction().answers(offered.direction()) {
            let index = answered.index();
            return Err(AnswerError::Direction { index });
        }
    }
    Ok(())
}

/// Whether a new offer asks for nothing that the last description of the same party did not
/// say: all lines but `o=` are the same, so that it only refreshes the session (RFC 4028 §7.4)
/// and needs no new negotiation.
///
/// Deviation from RFC 3264 §8: the version in `o=` is not trusted either way, because devices
/// exist that raise it on each refresh and others that change media without raising it.
#[must_use]
pub fn same_session_unchanged(old: &Description<'_>, new: &Description<'_>) -> bool {
    if old.as_bytes() == new.as_bytes() {
        return true;
    }
    let origin_at = |d: &Description<'_>| {
        let bytes = d.as_bytes();
        let mut lines = d.session_lines().iter();
        lines.position(|line| line.value(bytes, b'o').is_some())
    };
    let (old_origin, new_origin) = (origin_at(old), origin_at(new));
    old_origin == new_origin
        && old.lines().len() == new.lines().len()
        && (0..old.lines().len()).all(|at| {
            let same = old.lines()[at].of(old.as_bytes()) == new.lines()[at].of(new.as_bytes());
            Some(at) == old_origin || same
        })
}

fn check_medium(offered: &Media<'_>, answered: &Media<'_>) -> Result<(), AnswerError> {
    let index = offered.index();
    if offered.kind_name() != answered.kind_name() {
        return Err(AnswerError::Kind { index });
    }
    if answered.is_rejected() {
        return Ok(());
    }
    if offered.is_rejected() {
        return Err(AnswerError::Revived { index });
    }
    if !offered.proto().eq_ignore_ascii_case(answered.proto()) {
        return Err(AnswerError::Proto { index });
    }
    if !share_format(offered, answered) {
        return Err(AnswerError::NoCommonFormat { index });
    }
    Ok(())
}

/// Whether one answered format was offered: by encoding, whose dynamic payload type may differ
/// (RFC 3264 §6.1), or by its token.
fn share_format(offered: &Media<'_>, answered: &Media<'_>) -> bool {
    let by_encoding = answered
        .codecs()
        .any(|codec| offered.codecs().any(|other| other.same_encoding(&codec)));
    let by_token = || {
        answered
            .formats()
            .any(|f| offered.formats().any(|o| o.eq_ignore_ascii_case(f)))
    };
    by_encoding || by_token()
}

#[cfg(test)]
mod tests;
