//! The changes to one medium, and the lines they replace or add.

use std::net::{IpAddr, SocketAddr};

use super::writer::Writer;
use crate::line::Line;
use crate::{Description, Direction};

/// The changes to one medium.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MediaEdit {
    pub(super) route: Route,
    pub(super) direction: Option<Direction>,
}

impl MediaEdit {
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.route {
            Route::Relay { rtp, .. } => Some(rtp.ip()),
            Route::Kept | Route::Reject => None,
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        match self.route {
            Route::Relay { rtp, .. } => Some(rtp.port()),
            Route::Reject => Some(0),
            Route::Kept => None,
        }
    }

    /// Whether the medium was refused before, or is now.
    pub(super) fn refuses(&self, description: &Description<'_>, index: usize) -> bool {
        let before = description.medium(index).is_some_and(|m| m.is_rejected());
        before || matches!(self.route, Route::Reject)
    }
}

/// Where a medium goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Route {
    #[default]
    Kept,
    Relay {
        rtp: SocketAddr,
        rtcp_port: u16,
    },
    Reject,
}

/// Lines of a section that are still to be written.
pub(super) struct Pending {
    connection: Option<Connection>,
    /// Whether the section's own `c=` lines give way.
    pub(super) replaces_connection: bool,
    /// Port of `a=rtcp`.
    rtcp: Option<u16>,
    /// Whether `a=rtcp` lines give way.
    replaces_rtcp: bool,
    direction: Option<Direction>,
    /// Whether direction lines give way.
    replaces_direction: bool,
}

impl Pending {
    /// `shared` is the address that takes the place of the session's, if one does.
    pub(super) fn new(
        description: &Description<'_>,
        index: usize,
        edit: MediaEdit,
        shared: Option<IpAddr>,
    ) -> Self {
        let bytes = description.as_bytes();
        let own = description.section_lines(index);
        let has_own = own.iter().any(|line| line.value(bytes, b'c').is_some());
        let mut session = description.session_lines().iter();
        let session = session.find(|line| line.value(bytes, b'c').is_some());
        let refused = edit.refuses(description, index);
        let (connection, replaces_connection) = match (edit.route, shared) {
            (Route::Relay { rtp, .. }, _) => {
                let inherits = session.is_some() && !has_own && shared == Some(rtp.ip());
                ((!inherits).then_some(Connection::Address(rtp.ip())), true)
            }
            // Nothing is sent to a refused medium; its address only tells where a peer is.
            (_, Some(address)) if refused => {
                let alone = has_own && session.is_none();
                (alone.then_some(Connection::Address(address)), true)
            }
            // What it inherited is not there any more.
            (_, Some(_)) if !has_own => (session.copied().map(Connection::Copied), false),
            _ => (None, false),
        };
        Self {
            connection,
            replaces_connection,
            rtcp: rtcp_port(bytes, own, edit.route),
            replaces_rtcp: matches!(edit.route, Route::Relay { .. }),
            direction: edit.direction,
            replaces_direction: edit.direction.is_some(),
        }
    }

    /// Whether this line is one of those that change.
    pub(super) fn replaces(&self, bytes: &[u8], line: Line) -> bool {
        let rtcp = self.replaces_rtcp && line.attribute(bytes, b"rtcp").is_some();
        rtcp || self.replaces_direction && is_direction(bytes, line)
    }

    /// Writes what takes the place of the first of such lines; later ones just go.
    pub(super) fn write_replaced(&mut self, writer: &mut Writer<'_>, line: Line) {
        if is_direction(writer.bytes, line) {
            self.write_direction(writer);
        } else {
            self.write_rtcp(writer);
        }
    }

    pub(super) fn write_connection(&mut self, writer: &mut Writer<'_>) {
        match self.connection.take() {
            Some(Connection::Address(address)) => writer.connection(address),
            Some(Connection::Copied(line)) => writer.copy(line),
            None => {}
        }
    }

    fn write_rtcp(&mut self, writer: &mut Writer<'_>) {
        if let Some(port) = self.rtcp.take() {
            writer.line(format_args!("a=rtcp:{port}"));
        }
    }

    fn write_direction(&mut self, writer: &mut Writer<'_>) {
        if let Some(direction) = self.direction.take() {
            writer.line(format_args!("a={}", direction.name()));
        }
    }

    pub(super) fn write_rest(&mut self, writer: &mut Writer<'_>) {
        self.write_rtcp(writer);
        self.write_direction(writer);
    }
}

/// The `c=` line a section gets.
enum Connection {
    Address(IpAddr),
    /// The session's, as it was.
    Copied(Line),
}

/// The port of `a=rtcp`, if the line is needed or was there.
fn rtcp_port(bytes: &[u8], lines: &[Line], route: Route) -> Option<u16> {
    let Route::Relay { rtp, rtcp_port } = route else {
        return None;
    };
    let has = |name: &[u8]| {
        let mut lines = lines.iter();
        lines.any(|line| line.attribute(bytes, name).is_some())
    };
    let usual = rtp.port().checked_add(1) == Some(rtcp_port) || has(b"rtcp-mux");
    (has(b"rtcp") || !usual).then_some(rtcp_port)
}

fn is_direction(bytes: &[u8], line: Line) -> bool {
    let value = line.value(bytes, b'a');
    value.is_some_and(|v| Direction::from_name(v.trim_ascii_end()).is_some())
}
