//! Writing lines: kept ones with their ends, new ones with the end the description uses.

use std::io::Write;
use std::net::IpAddr;

use crate::line::Line;
use crate::media::Section;

/// Copies kept lines with their ends, and gives new ones the end the description uses.
pub(super) struct Writer<'w> {
    pub(super) out: &'w mut Vec<u8>,
    pub(super) bytes: &'w [u8],
    pub(super) end: &'static [u8],
}

impl Writer<'_> {
    /// Copies a line and its end, exactly.
    pub(super) fn keep(&mut self, line: Line, next: Option<&Line>) {
        self.separate();
        let end = next.map_or(self.bytes.len(), |next| usize::from(next.start));
        self.out
            .extend_from_slice(&self.bytes[usize::from(line.start)..end]);
    }

    /// `m=` with another port and no count of ports, or another transport; all else as it was.
    pub(super) fn media_line(
        &mut self,
        section: &Section,
        line: Line,
        port: Option<u16>,
        proto: Option<&str>,
    ) {
        let bytes = self.bytes;
        let part = |from: u16, to: u16| &bytes[usize::from(from)..usize::from(to)];
        self.text(part(line.start, section.ports.start));
        match port {
            Some(port) => self.print(format_args!("{port}")),
            None => self.text(part(section.ports.start, section.ports.end)),
        }
        self.text(part(section.ports.end, section.proto.start));
        match proto {
            Some(proto) => self.text(proto.as_bytes()),
            None => self.text(part(section.proto.start, section.proto.end)),
        }
        self.text(part(section.proto.end, line.end));
        self.line_end();
    }

    pub(super) fn connection(&mut self, address: IpAddr) {
        self.line(format_args!("c={}", Connected(address)));
    }

    /// Another copy of a line.
    pub(super) fn copy(&mut self, line: Line) {
        self.separate();
        self.text(line.of(self.bytes));
        self.line_end();
    }

    /// A new line.
    pub(super) fn line(&mut self, text: core::fmt::Arguments<'_>) {
        self.separate();
        self.print(text);
        self.line_end();
    }

    pub(super) fn words(&mut self, words: &[&[u8]]) {
        for word in words {
            self.text(b" ");
            self.text(word);
        }
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    pub(super) fn print(&mut self, text: core::fmt::Arguments<'_>) {
        self.out
            .write_fmt(text)
            .expect("a vector takes all that is written");
    }

    pub(super) fn line_end(&mut self) {
        self.out.extend_from_slice(self.end);
    }

    /// Ends the last line if the description left it open.
    fn separate(&mut self) {
        if self.out.last().is_some_and(|last| *last != b'\n') {
            self.line_end();
        }
    }
}

/// `IN IP4 192.0.2.1`.
pub(super) struct Connected(pub(super) IpAddr);

impl core::fmt::Display for Connected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "IN IP4 {ip}"),
            IpAddr::V6(ip) => write!(f, "IN IP6 {ip}"),
        }
    }
}

/// What ends the first line, and so every line we add.
pub(super) fn line_end(bytes: &[u8]) -> &'static [u8] {
    match memchr::memchr(b'\n', bytes) {
        Some(at) if at == 0 || bytes[at - 1] != b'\r' => b"\n",
        _ => b"\r\n",
    }
}
