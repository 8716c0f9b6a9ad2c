//! The line index: where each line of a description begins and ends.

use memchr::memchr;

use crate::{MAX_LINES, SdpError};

/// One line, without its end; offsets into the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

/// The lines of a description; a usual offer fits without allocation.
pub(crate) type Lines = smallvec::SmallVec<[Line; 32]>;

impl Line {
    /// The line's bytes, without its end.
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[usize::from(self.start)..usize::from(self.end)]
    }

    /// The type letter and the value of `x=value`; `None` for anything else.
    pub(crate) fn split(self, bytes: &[u8]) -> Option<(u8, &[u8])> {
        match self.of(bytes) {
            [kind, b'=', value @ ..] => Some((*kind, value)),
            _ => None,
        }
    }

    /// The value if the line is of this type.
    pub(crate) fn value(self, bytes: &[u8], kind: u8) -> Option<&[u8]> {
        self.split(bytes)
            .and_then(|(k, value)| (k == kind).then_some(value))
    }

    /// The value of the attribute if the line is that attribute; empty for `a=name` alone.
    pub(crate) fn attribute<'a>(self, bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        let rest = self.value(bytes, b'a')?.strip_prefix(name)?;
        match rest {
            [] => Some(rest),
            [b':', value @ ..] => Some(value),
            _ => None,
        }
    }
}

/// Finds the lines. `bytes` is not longer than [`crate::MAX_BYTES`], so offsets fit.
pub(crate) fn index(bytes: &[u8]) -> Result<Lines, SdpError> {
    let mut lines = Lines::new();
    let mut start = 0;
    while start < bytes.len() {
        if lines.len() == MAX_LINES {
            return Err(SdpError::TooManyLines);
        }
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        let content = match bytes[start..end].strip_suffix(b"\r") {
            Some(content) => content.len(),
            None => end - start,
        };
        lines.push(Line {
            start: start as u16,
            end: (start + content) as u16,
        });
        start = end + 1;
    }
    Ok(lines)
}

/// The words of a value; runs of spaces count as one, as some senders double them.
pub(crate) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|b| matches!(b, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
}

/// A decimal number; `None` if empty, too large, or anything but digits.
pub(crate) fn number<T: TryFrom<u64>>(word: &[u8]) -> Option<T> {
    if word.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for byte in word {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    T::try_from(value).ok()
}
