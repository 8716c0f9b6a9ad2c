//! A whole description: its lines, its session part and its media.

use smallvec::SmallVec;

use crate::line::{Line, Lines, index, words};
use crate::media::Section;
use crate::{Connection, Direction, Media, Origin, SdpError};

/// The longest description that is read, in bytes; longer ones are refused.
pub const MAX_BYTES: usize = u16::MAX as usize;
/// The most lines that are read; more are refused.
pub const MAX_LINES: usize = 2_048;
/// The most media that are read; more are refused.
pub const MAX_MEDIA: usize = 32;

/// A session description over the bytes it came in.
#[derive(Clone, Debug)]
pub struct Description<'a> {
    bytes: &'a [u8],
    lines: Lines,
    sections: SmallVec<[Section; 2]>,
}

impl<'a> Description<'a> {
    /// Indexes a description. Media lines are read now, all else when asked for.
    ///
    /// # Errors
    /// If it does not begin with `v=0`, has a malformed media line, or exceeds a bound.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_BYTES {
            return Err(SdpError::TooLong);
        }
        let lines = index(bytes)?;
        match lines.first().and_then(|line| line.value(bytes, b'v')) {
            None => return Err(SdpError::NotSdp),
            Some(version) if version.trim_ascii() != b"0" => return Err(SdpError::Version),
            Some(_) => {}
        }
        let mut sections: SmallVec<[Section; 2]> = SmallVec::new();
        for (at, line) in lines.iter().enumerate() {
            if line.value(bytes, b'm').is_none() {
                continue;
            }
            if sections.len() == MAX_MEDIA {
                return Err(SdpError::TooManyMedia);
            }
            if let Some(previous) = sections.last_mut() {
                previous.lines.end = at as u16;
            }
            let index = sections.len();
            let last = lines.len() as u16;
            let section = Section::parse(bytes, *line, at as u16..last);
            sections.push(section.ok_or(SdpError::MalformedMedia { index })?);
        }
        Ok(Self {
            bytes,
            lines,
            sections,
        })
    }

    /// The bytes it was parsed from.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Who made it; `None` if `o=` is missing or malformed.
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'a>> {
        Origin::parse(self.session_value(b'o')?)
    }

    /// The connection of the session part; `None` if there is none.
    ///
    /// # Errors
    /// [`SdpError::MalformedConnection`].
    pub fn connection(&self) -> Result<Option<Connection<'a>>, SdpError> {
        self.session_value(b'c').map(Connection::parse).transpose()
    }

    /// The direction of the session part, which media without one inherit.
    #[must_use]
    pub fn direction(&self) -> Direction {
        direction_in(self.bytes, self.session_lines()).unwrap_or_default()
    }

    /// The value of an attribute of the session part; empty for one without a value.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        attribute_in(self.bytes, self.session_lines(), name)
    }

    /// The names of the media that share a transport: its first group of them (RFC 9143 §5). The
    /// first that is not refused has the transport. Empty without such a group.
    pub fn bundle(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut lines = self.session_lines().iter();
        let groups = lines.find_map(|line| {
            let mut words = words(line.attribute(self.bytes, b"group")?);
            (words.next() == Some(b"BUNDLE")).then_some(words)
        });
        groups.into_iter().flatten()
    }

    /// How many media it has, refused ones included.
    #[must_use]
    pub fn media_count(&self) -> usize {
        self.sections.len()
    }

    /// The media in their order, refused ones included.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'_>> {
        (0..self.sections.len()).map(|index| Media::new(self, index))
    }

    /// One medium, counted from 0.
    #[must_use]
    pub fn medium(&self, index: usize) -> Option<Media<'_>> {
        (index < self.sections.len()).then(|| Media::new(self, index))
    }

    /// Whether all its media are refused (port 0), or it has none.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.media().all(|media| media.is_rejected())
    }

    /// Whether its author holds the other side: at least one medium is held, and none that is
    /// not refused is open (RFC 3264 §8.4, RFC 6337 §3.1).
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.is_rejected() && self.media().all(|m| m.is_rejected() || m.is_held())
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(crate) fn section(&self, index: usize) -> &Section {
        &self.sections[index]
    }

    pub(crate) fn section_lines(&self, index: usize) -> &[Line] {
        let range = &self.sections[index].lines;
        &self.lines[usize::from(range.start)..usize::from(range.end)]
    }

    pub(crate) fn session_lines(&self) -> &[Line] {
        let end = self.sections.first().map(|s| usize::from(s.lines.start));
        &self.lines[..end.unwrap_or(self.lines.len())]
    }

    fn session_value(&self, kind: u8) -> Option<&'a [u8]> {
        let mut lines = self.session_lines().iter();
        lines.find_map(|line| line.value(self.bytes, kind))
    }
}

/// The first direction among some lines.
pub(crate) fn direction_in(bytes: &[u8], lines: &[Line]) -> Option<Direction> {
    let mut attributes = lines.iter().filter_map(|line| line.value(bytes, b'a'));
    attributes.find_map(|value| Direction::from_name(value.trim_ascii_end()))
}

/// The first attribute of a name among some lines.
pub(crate) fn attribute_in<'a>(bytes: &'a [u8], lines: &[Line], name: &str) -> Option<&'a [u8]> {
    let mut lines = lines.iter();
    lines.find_map(|line| line.attribute(bytes, name.as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests;
