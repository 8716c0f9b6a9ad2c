//! Writing a changed copy: the lines that were asked for change, all others stay as they came.

mod lines;
mod recode;
mod section;
mod writer;

use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use crate::line::{Line, words};
use crate::{Description, Direction};
use lines::LineEdits;
pub use recode::{Format, Recode, recode};
use section::{MediaEdit, Pending, Route};
use writer::{Connected, Writer, line_end};

/// A set of changes to one description.
///
/// ```
/// # use sdp::{Description, Edit};
/// let offer = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
/// let offer = Description::parse(offer)?;
/// let mut edit = Edit::new(&offer);
/// edit.origin_address("192.0.2.1".parse().unwrap());
/// edit.relay(0, "192.0.2.1:30000".parse().unwrap(), 30_001);
/// assert!(edit.finish().ends_with(b"c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n"));
/// # Ok::<(), sdp::SdpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Edit<'d> {
    description: &'d Description<'d>,
    origin_address: Option<IpAddr>,
    origin_session: Option<u64>,
    origin_version: Option<u64>,
    /// One for each medium, in order.
    media: SmallVec<[MediaEdit; 2]>,
    ice: Ice,
    /// Lines added and taken off, and transports changed.
    lines: LineEdits,
}

impl<'d> Edit<'d> {
    /// No changes yet.
    #[must_use]
    pub fn new(description: &'d Description<'d>) -> Self {
        Self {
            description,
            origin_address: None,
            origin_session: None,
            origin_version: None,
            media: SmallVec::from_elem(MediaEdit::default(), description.media_count()),
            ice: Ice::Kept,
            lines: LineEdits::default(),
        }
    }

    /// Replaces the transport of a medium: `RTP/SAVP`.
    pub fn proto(&mut self, index: usize, proto: &str) -> &mut Self {
        self.lines.set_proto(index, proto);
        self
    }

    /// Takes off attributes of these names from a medium, and from the session part, from where
    /// it would inherit them.
    pub fn strip(&mut self, index: usize, names: &'static [&'static str]) -> &mut Self {
        self.lines.strip(index, names);
        self
    }

    /// Adds an attribute at the end of a medium: `setup:active`. It stays when attributes of its
    /// name are taken off.
    pub fn add(&mut self, index: usize, attribute: impl Into<String>) -> &mut Self {
        self.lines.add(Some(index), attribute.into());
        self
    }

    /// Adds an attribute at the end of the session part, unless it was added before.
    pub fn add_to_session(&mut self, attribute: impl Into<String>) -> &mut Self {
        self.lines.add_once(attribute.into());
        self
    }

    /// Replaces the address in `o=`.
    pub fn origin_address(&mut self, address: IpAddr) -> &mut Self {
        self.origin_address = Some(address);
        self
    }

    /// Replaces the session identifier in `o=`.
    pub fn origin_session(&mut self, session_id: u64) -> &mut Self {
        self.origin_session = Some(session_id);
        self
    }

    /// Replaces the version in `o=`.
    pub fn origin_version(&mut self, version: u64) -> &mut Self {
        self.origin_version = Some(version);
        self
    }

    /// Sends a medium through a relay: its address and port become `rtp`, and RTCP goes to
    /// `rtcp_port` of the same address. `a=rtcp` is rewritten if it is there, and added if RTCP
    /// is not one port above RTP and not multiplexed with it. A count of ports is taken off.
    /// A medium that is not there, or is refused, stays as it is.
    pub fn relay(&mut self, index: usize, rtp: SocketAddr, rtcp_port: u16) -> &mut Self {
        let refused = |i| self.description.medium(i).is_none_or(|m| m.is_rejected());
        if !refused(index) {
            self.media[index].route = Route::Relay { rtp, rtcp_port };
        }
        self
    }

    /// Refuses a medium: port 0 (RFC 3264 §6). Where other media are relayed, the address of a
    /// refused one goes, too.
    pub fn reject(&mut self, index: usize) -> &mut Self {
        if let Some(media) = self.media.get_mut(index) {
            media.route = Route::Reject;
        }
        self
    }

    /// Replaces the direction of a medium, or states it.
    pub fn direction(&mut self, index: usize, direction: Direction) -> &mut Self {
        if let Some(media) = self.media.get_mut(index) {
            media.direction = Some(direction);
        }
        self
    }

    /// Takes off all attributes of ICE (RFC 8839 §5): the candidates of a peer lead around a
    /// relay, and its credentials are not the relay's.
    pub fn strip_ice(&mut self) -> &mut Self {
        self.ice = Ice::Stripped;
        self
    }

    /// Writes the changed description.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let bytes = self.description.as_bytes();
        let mut out = Vec::with_capacity(bytes.len() + SPARE_BYTES);
        let mut writer = Writer {
            out: &mut out,
            bytes,
            end: line_end(bytes),
        };
        let session_address = self.session_address();
        self.write_session(&mut writer, session_address);
        for (index, edit) in self.media.iter().enumerate() {
            self.write_section(&mut writer, index, *edit, session_address);
        }
        out
    }

    /// What takes the place of the session's address: that of the first relayed medium; if
    /// every medium is refused, ours, as nothing is sent anywhere.
    fn session_address(&self) -> Option<IpAddr> {
        let mut media = self.media.iter().enumerate();
        let all_refused = media.all(|(index, edit)| edit.refuses(self.description, index));
        let hidden = self.origin_address.filter(|_| all_refused);
        self.media.iter().find_map(MediaEdit::address).or(hidden)
    }

    fn write_session(&self, writer: &mut Writer<'_>, address: Option<IpAddr>) {
        let lines = self.description.session_lines();
        for (at, line) in lines.iter().enumerate() {
            let next = self.description.lines().get(at + 1);
            match (line.split(writer.bytes), address) {
                (Some((b'o', value)), _) => self.write_origin(writer, *line, next, value),
                (Some((b'c', _)), Some(address)) => writer.connection(address),
                _ if self.strips(writer.bytes, *line) => {}
                _ if self.lines.strips_from_session(writer.bytes, *line) => {}
                _ => writer.keep(*line, next),
            }
        }
        self.lines.write_added(writer, None);
    }

    fn write_origin(&self, out: &mut Writer<'_>, line: Line, next: Option<&Line>, value: &[u8]) {
        let words: SmallVec<[&[u8]; 6]> = words(value).collect();
        let unchanged = self.origin_address.is_none()
            && self.origin_session.is_none()
            && self.origin_version.is_none();
        let [username, session, version, net, family, host] = words[..] else {
            return out.keep(line, next);
        };
        if unchanged {
            return out.keep(line, next);
        }
        out.text(b"o=");
        out.text(username);
        match self.origin_session {
            Some(session) => out.print(format_args!(" {session}")),
            None => out.words(&[session]),
        }
        match self.origin_version {
            Some(version) => out.print(format_args!(" {version}")),
            None => out.words(&[version]),
        }
        match self.origin_address {
            Some(address) => out.print(format_args!(" {}", Connected(address))),
            None => out.words(&[net, family, host]),
        }
        out.line_end();
    }

    fn write_section(
        &self,
        writer: &mut Writer<'_>,
        index: usize,
        edit: MediaEdit,
        session_address: Option<IpAddr>,
    ) {
        let bytes = writer.bytes;
        let section = self.description.section(index);
        let lines = self.description.section_lines(index);
        let mut pending = Pending::new(self.description, index, edit, session_address);
        for (offset, line) in lines.iter().enumerate() {
            let at = usize::from(section.lines.start) + offset;
            let next = self.description.lines().get(at + 1);
            let kind = line.split(bytes).map(|(kind, _)| kind);
            if !matches!(kind, Some(b'm' | b'i')) {
                pending.write_connection(writer);
            }
            match kind {
                Some(b'm') => match (edit.port(), self.lines.proto(index)) {
                    (None, None) => writer.keep(*line, next),
                    (port, proto) => writer.media_line(section, *line, port, proto),
                },
                Some(b'c') if pending.replaces_connection => {}
                _ if self.strips(bytes, *line) => {}
                _ if self.lines.strips(index, bytes, *line) => {}
                _ if pending.replaces(bytes, *line) => pending.write_replaced(writer, *line),
                _ => writer.keep(*line, next),
            }
        }
        pending.write_connection(writer);
        pending.write_rest(writer);
        self.lines.write_added(writer, Some(index));
    }

    fn strips(&self, bytes: &[u8], line: Line) -> bool {
        self.ice == Ice::Stripped
            && ICE_ATTRIBUTES
                .iter()
                .any(|name| line.attribute(bytes, name.as_bytes()).is_some())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ice {
    Kept,
    Stripped,
}

const ICE_ATTRIBUTES: [&str; 9] = [
    "candidate",
    "end-of-candidates",
    "ice-ufrag",
    "ice-pwd",
    "ice-options",
    "ice-lite",
    "ice-mismatch",
    "ice-pacing",
    "remote-candidates",
];

/// Room for longer addresses and an added line or two.
const SPARE_BYTES: usize = 96;

#[cfg(test)]
mod tests;
