//! What tests need of a media server, whoever has made it.

use std::ops::RangeInclusive;

use crate::media_server::MediaServer;
use crate::rtpengine::Rtpengine;

/// A server that relays media on request: ours, or rtpengine.
pub trait RelayServer {
    /// Where it is controlled, as a record of the platform says it.
    fn control(&self) -> String;

    /// The ports it relays media on.
    fn media_ports(&self) -> RangeInclusive<u16>;

    /// How many sessions it has, if it says.
    fn sessions(&self) -> Option<usize>;

    /// Crashes it.
    fn kill_9(&mut self);
}

impl RelayServer for MediaServer {
    fn control(&self) -> String {
        self.control()
    }

    fn media_ports(&self) -> RangeInclusive<u16> {
        self.media_ports()
    }

    fn sessions(&self) -> Option<usize> {
        Some(self.sessions())
    }

    fn kill_9(&mut self) {
        self.kill_9();
    }
}

impl RelayServer for Rtpengine {
    fn control(&self) -> String {
        self.control()
    }

    fn media_ports(&self) -> RangeInclusive<u16> {
        self.media_ports()
    }

    fn sessions(&self) -> Option<usize> {
        self.sessions()
    }

    fn kill_9(&mut self) {
        self.kill_9();
    }
}
