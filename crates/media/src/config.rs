//! What an engine is started with.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::options::IceAgent;
use crate::recording::RecordingFormat;

/// How an [`crate::Engine`] is set up. [`EngineConfig::new`] gives everything but the addresses.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where IPv4 media is received; `None`: no IPv4 media.
    pub v4: Option<Interface>,
    /// Where IPv6 media is received; `None`: no IPv6 media.
    pub v6: Option<Interface>,
    /// Further interfaces, chosen by name in [`crate::Options::interface`].
    pub named: Vec<NamedInterface>,
    /// Ports to use, both ends included, the same in both families. RTP takes an even port, RTCP
    /// the odd one above it; an odd port at the start and an even one at the end stay unused.
    pub ports: RangeInclusive<u16>,
    /// Worker threads, at least 1. A session stays with one worker.
    pub workers: usize,
    /// How long a released port rests before it is used again, lest late packets of an old call
    /// be heard in a new one.
    pub quarantine: Duration,
    /// How long after an answer a source other than the described address may be learned.
    pub learn_window: Duration,
    /// How long a side that should send may be silent before [`crate::MediaEvent::Silent`];
    /// `None`: for ever.
    pub inactivity: Option<Duration>,
    /// How long a busy worker lets packets gather before it reads them. At most 1 ms is sensible:
    /// it is added to the delay of each packet. Zero: each packet wakes it.
    pub tick: Duration,
    /// Receive buffer asked of the kernel for each socket, in bytes. What it granted is in
    /// [`crate::Engine::receive_buffer_bytes`].
    pub receive_buffer_bytes: usize,
    /// Whether plain RTP is relayed by a program in the kernel.
    pub kernel: KernelPath,
    /// What peers that speak ICE find in us, where nobody says otherwise.
    pub ice_agent: IceAgent,
    /// Where recordings are kept; `None`: there are none.
    pub recordings: Option<PathBuf>,
    /// What their files are.
    pub recording_format: RecordingFormat,
}

impl EngineConfig {
    /// The usual times and sizes, one worker, and no address yet.
    #[must_use]
    pub fn new(ports: RangeInclusive<u16>) -> Self {
        Self {
            v4: None,
            v6: None,
            named: Vec::new(),
            ports,
            workers: 1,
            quarantine: Duration::from_secs(5),
            learn_window: Duration::from_secs(15),
            inactivity: Some(Duration::from_secs(60)),
            tick: Duration::from_millis(1),
            receive_buffer_bytes: 128 * 1024,
            kernel: KernelPath::Auto,
            ice_agent: IceAgent::Lite,
            recordings: None,
            recording_format: RecordingFormat::default(),
        }
    }

    /// The interface of `family`, if there is one.
    #[must_use]
    pub fn interface(&self, family: AddressFamily) -> Option<Interface> {
        match family {
            AddressFamily::V4 => self.v4,
            AddressFamily::V6 => self.v6,
        }
    }
}

/// Whether plain RTP is relayed by a program in the kernel.
///
/// Where it cannot be, one line of the log says why and user space relays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelPath {
    /// XDP on a network card whose driver has it, else tc; not on loopback.
    #[default]
    Auto,
    /// Never.
    Off,
    /// By XDP in the driver, on a virtual device too: then the other end must be ready for it.
    Xdp,
    /// At the ingress of tc.
    Tc,
}

/// One address of ours that media comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What sockets are bound to.
    pub bind: IpAddr,
    /// What descriptions say; differs from `bind` behind a NAT of our own.
    pub advertised: IpAddr,
}

impl Interface {
    /// An interface that is advertised as it is bound.
    #[must_use]
    pub fn same(address: IpAddr) -> Self {
        Self {
            bind: address,
            advertised: address,
        }
    }
}

/// Addresses that go by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedInterface {
    /// What they are asked for by.
    pub name: String,
    /// As [`EngineConfig::v4`].
    pub v4: Option<Interface>,
    /// As [`EngineConfig::v6`].
    pub v6: Option<Interface>,
}

impl NamedInterface {
    /// The interface of `family`, if there is one.
    #[must_use]
    pub fn interface(&self, family: AddressFamily) -> Option<Interface> {
        match family {
            AddressFamily::V4 => self.v4,
            AddressFamily::V6 => self.v6,
        }
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl From<IpAddr> for AddressFamily {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl From<SocketAddr> for AddressFamily {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}
