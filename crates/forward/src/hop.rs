//! Our listeners: what we call ourselves, and which of them speaks to whom.

use std::net::SocketAddr;

use sip::uri::Uri;
use sip::{ListenerId, Transport};

/// A socket of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Which.
    pub id: ListenerId,
    /// What is spoken on it.
    pub transport: Transport,
    /// The address that peers are told.
    pub advertised: SocketAddr,
}

/// A listener and the texts that name it.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Which.
    pub id: ListenerId,
    /// What is spoken on it.
    pub transport: Transport,
    /// The address that peers are told.
    pub advertised: SocketAddr,
    /// `Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK`
    via: Box<str>,
    /// `@192.0.2.1:5060;transport=tcp;lr`
    uri: Box<str>,
    /// `192.0.2.1:5060`
    pub sent_by: Box<str>,
}

impl Hop {
    /// Makes the texts.
    #[must_use]
    pub fn new(listener: &Listener) -> Self {
        let Listener {
            id,
            transport,
            advertised,
        } = *listener;
        let name = transport.via_name();
        let parameter = match transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.param_name()),
        };
        Self {
            id,
            transport,
            advertised,
            via: format!("Via: SIP/2.0/{name} {advertised};branch=z9hG4bK").into(),
            uri: format!("@{advertised}{parameter};lr").into(),
            sent_by: advertised.to_string().into(),
        }
    }

    /// Our Via line, with a branch behind the cookie.
    pub fn write_via(&self, out: &mut Vec<u8>, branch: &str, parameters: &[u8]) {
        out.extend_from_slice(self.via.as_bytes());
        out.extend_from_slice(branch.as_bytes());
        out.extend_from_slice(b";rport");
        out.extend_from_slice(parameters);
        out.extend_from_slice(b"\r\n");
    }

    /// A header line whose value is a URI of ours with this user part.
    pub fn write_uri(&self, out: &mut Vec<u8>, header: &str, user: &str, parameters: &str) {
        for part in [header, ": <sip:", user, &self.uri, parameters, ">\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// All our listeners, and our other names.
#[derive(Clone, Debug, Default)]
pub struct Hops {
    hops: Vec<Hop>,
    names: Vec<Box<str>>,
    /// Where our neighbours find us, if peers are told other addresses.
    inner: Vec<SocketAddr>,
}

impl Hops {
    /// Without listeners; these names are ours.
    #[must_use]
    pub const fn new(names: Vec<Box<str>>) -> Self {
        Self {
            hops: Vec::new(),
            names,
            inner: Vec::new(),
        }
    }

    /// Addresses that lead to us as well.
    pub fn set_inner(&mut self, inner: Vec<SocketAddr>) {
        self.inner = inner;
    }

    /// Other names.
    pub fn set_names(&mut self, names: Vec<Box<str>>) {
        self.names = names;
    }

    /// Adds a listener, or changes it.
    pub fn set(&mut self, listener: &Listener) {
        self.hops.retain(|hop| hop.id != listener.id);
        self.hops.push(Hop::new(listener));
    }

    /// The listener of this number.
    #[must_use]
    pub fn of(&self, id: ListenerId) -> Option<&Hop> {
        self.hops.iter().find(|hop| hop.id == id)
    }

    /// Takes a listener away.
    pub fn remove(&mut self, id: ListenerId) {
        self.hops.retain(|hop| hop.id != id);
    }

    /// The listener that speaks to an address over a transport: `preferred` if it can.
    #[must_use]
    pub fn towards(
        &self,
        transport: Transport,
        remote: SocketAddr,
        preferred: ListenerId,
    ) -> Option<&Hop> {
        let fits =
            |hop: &&Hop| hop.transport == transport && hop.advertised.is_ipv4() == remote.is_ipv4();
        let first = self.of(preferred).filter(fits);
        first.or_else(|| self.hops.iter().find(fits))
    }

    /// Whether a URI leads to us.
    #[must_use]
    pub fn owns(&self, uri: &Uri<'_>) -> bool {
        let named = |name: &str| uri.host.eq_ignore_ascii_case(name.as_bytes());
        if self.names.iter().any(|name| named(name)) {
            return true;
        }
        let Some(ip) = uri.host_ip() else {
            return false;
        };
        let transport = uri.transport().unwrap_or(Transport::Udp);
        let port = uri.port.unwrap_or(transport.default_port());
        let address = SocketAddr::new(ip, port);
        self.inner.contains(&address) || self.hops.iter().any(|hop| hop.advertised == address)
    }

    /// Whether a Via was written by us.
    #[must_use]
    pub fn wrote(&self, via: &sip::Via<'_>) -> bool {
        let Some(ip) = sip::uri::parse_ip(via.host) else {
            return false;
        };
        let port = via.port.unwrap_or(sip::Transport::Udp.default_port());
        let address = SocketAddr::new(ip, port);
        self.hops.iter().any(|hop| hop.advertised == address)
    }
}
