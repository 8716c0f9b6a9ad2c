//! How a dispatcher runs as a process.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sip::Transport;

use super::TargetRecord;
use crate::Ready;

/// How a dispatcher runs as a process.
#[derive(Clone, Debug)]
pub struct DispatcherOptions {
    /// Where key, certificate and changes made at run time are kept.
    pub data: PathBuf,
    /// Where it speaks SIP.
    pub listen: Vec<Listen>,
    /// The address that peers are told, where another one leads here.
    pub advertise: Option<IpAddr>,
    /// Host names it is reached by.
    pub names: Vec<String>,
    /// A file with settings and targets.
    pub config: Option<PathBuf>,
    /// Targets besides those of the file.
    pub targets: Vec<TargetRecord>,
    /// In place of the file's: `round-robin`, `weighted`, `least-calls`, `two-choices`, `hash`.
    pub algorithm: Option<String>,
    /// In place of the file's: `follow` or `pass`.
    pub redirects: Option<String>,
    /// A file with the key that all dispatchers of a cluster share.
    pub key: Option<PathBuf>,
    /// Where its API is.
    pub api: SocketAddr,
    /// How long the calls there are may go on after SIGTERM; zero: not at all.
    pub drain: Duration,
    /// Whether one line of JSON on standard output says that it is ready, and where.
    pub ready: Ready,
}

/// A socket for SIP: `tls:0.0.0.0:5061`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What it speaks.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl Listen {
    /// What it speaks, as flags say it: `udp`.
    #[must_use]
    pub const fn transport_name(&self) -> &'static str {
        self.transport.param_name()
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("TRANSPORT:ADDRESS:PORT is wanted, as udp:0.0.0.0:5060: {text}");
        let (transport, address) = text.split_once(':').ok_or_else(wanted)?;
        let transport = Transport::from_name(transport.as_bytes()).ok_or_else(wanted)?;
        let address = address.parse().map_err(|_| wanted())?;
        Ok(Self { transport, address })
    }
}
