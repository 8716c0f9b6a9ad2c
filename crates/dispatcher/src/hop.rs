//! Our listeners: what we call ourselves, and which of them speaks to whom.

use std::net::SocketAddr;

use sip::uri::Uri;
use sip::{ListenerId, Transport};

use crate::Listener;

/// A listener and the texts that name it.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) id: ListenerId,
    pub(crate) transport: Transport,
    pub(crate) advertised: SocketAddr,
    /// `Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK`
    via: Box<str>,
    /// `@192.0.2.1:5060;transport=tcp;lr`
    uri: Box<str>,
    /// `192.0.2.1:5060`
    pub(crate) sent_by: Box<str>,
}

impl Hop {
    pub(crate) fn new(listener: &Listener) -> Self {
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

    /// `192.0.2.1`, as it stands in what we write.
    fn host(&self) -> &[u8] {
        let text = self.sent_by.as_bytes();
        let colon = text.iter().rposition(|b| *b == b':');
        &text[..colon.unwrap_or(text.len())]
    }

    /// Our Via line, with a branch behind the cookie.
    pub(crate) fn write_via(
        &self,
        out: &mut Vec<u8>,
        branch: impl FnOnce(&mut Vec<u8>),
        parameters: &[u8],
    ) {
        out.extend_from_slice(self.via.as_bytes());
        branch(out);
        out.extend_from_slice(b";rport");
        out.extend_from_slice(parameters);
        out.extend_from_slice(b"\r\n");
    }

    /// A header line whose value is a URI of ours with this user part.
    pub(crate) fn write_uri(
        &self,
        out: &mut Vec<u8>,
        header: &str,
        user: impl FnOnce(&mut Vec<u8>),
        parameters: &str,
    ) {
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(b": <sip:");
        user(out);
        for part in [&self.uri, parameters, ">\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// All our listeners, and our other names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hops {
    hops: Vec<Hop>,
    names: Vec<Box<str>>,
}

impl Hops {
    pub(crate) const fn new(names: Vec<Box<str>>) -> Self {
        Self {
            hops: Vec::new(),
            names,
        }
    }

    pub(crate) fn set_names(&mut self, names: Vec<Box<str>>) {
        self.names = names;
    }

    pub(crate) fn set(&mut self, listener: &Listener) {
        self.hops.retain(|hop| hop.id != listener.id);
        self.hops.push(Hop::new(listener));
    }

    pub(crate) fn of(&self, id: ListenerId) -> Option<&Hop> {
        self.hops.iter().find(|hop| hop.id == id)
    }

    /// The listener that speaks to an address over a transport: `preferred` if it can.
    pub(crate) fn towards(
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
    pub(crate) fn owns(&self, uri: &Uri<'_>) -> bool {
        let named = |name: &str| uri.host.eq_ignore_ascii_case(name.as_bytes());
        if self.names.iter().any(|name| named(name)) {
            return true;
        }
        let default = || {
            let transport = uri.transport().unwrap_or(Transport::Udp);
            transport.default_port()
        };
        self.is_at(uri.host, uri.port.unwrap_or_else(default))
    }

    /// Whether a Via was written by us.
    pub(crate) fn wrote(&self, via: &sip::Via<'_>) -> bool {
        let port = via.port.unwrap_or(sip::Transport::Udp.default_port());
        self.is_at(via.host, port)
    }

    /// Whether a listener of ours is at an address. What we wrote comes back as we wrote it, and
    /// most of what others wrote has another port: few hosts have to be read for this.
    fn is_at(&self, host: &[u8], port: u16) -> bool {
        let mut there = self.hops.iter().filter(|hop| hop.advertised.port() == port);
        let Some(first) = there.next() else {
            return false;
        };
        if first.host() == host {
            return true;
        }
        let Some(ip) = sip::uri::parse_ip(host) else {
            return false;
        };
        first.advertised.ip() == ip || there.any(|hop| hop.advertised.ip() == ip)
    }
}
