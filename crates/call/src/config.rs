//! What all calls of a switch have in common.

use std::time::Duration;

use sip::ListenerId;

/// How media of a call travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaMode {
    /// Through a relay: descriptions are rewritten by it.
    #[default]
    Relay,
    /// Directly between the parties: descriptions pass unchanged.
    Bypass,
}

/// Settings of the back-to-back user agent.
#[derive(Clone, Debug)]
pub struct Config {
    /// Written in Server and User-Agent.
    pub product: Box<str>,
    /// The Contact URI of each listener (`sip:192.0.2.1:5060`), by its id.
    pub contacts: Vec<Box<str>>,
    /// No call lasts longer.
    pub duration_max: Duration,
    /// Session-Expires we ask for, in seconds; 0 asks for none (RFC 4028).
    pub session_expires_s: u32,
    /// How long a call goes on whose media is lost, while nobody relays it; zero: as long as it
    /// lasts.
    pub media_lost_max: Duration,
    /// The least Session-Expires we accept, in seconds.
    pub session_expires_min_s: u32,
}

impl Config {
    /// The Contact URI of a listener; empty for one that is gone.
    #[must_use]
    pub fn contact(&self, listener: ListenerId) -> &str {
        self.contacts.get(usize::from(listener.0)).map_or("", |c| c)
    }
}
