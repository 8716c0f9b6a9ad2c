//! Our listeners: what we call ourselves, and which of them speaks to whom.

use std::net::SocketAddr;
use std::ops::Range;

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
    /// The same for Record-Route, where that carries a name: `@sip.example.com;transport=tcp;lr`
    route: Box<str>,
    /// `192.0.2.1:5060`
    pub sent_by: Box<str>,
}

impl Hop {
    /// Makes the texts. `route_name` stands in Record-Route instead of the address.
    #[must_use]
    pub fn new(listener: &Listener, route_name: Option<&str>) -> Self {
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
        let uri = format!("@{advertised}{parameter};lr");
        let route = route_name.map(|name| match advertised.port() {
            // Without a port, SRV records are asked for, too (RFC 3263 §4.2).
            port if port == transport.default_port() => format!("@{name}{parameter};lr"),
            port => format!("@{name}:{port}{parameter};lr"),
        });
        Self {
            id,
            transport,
            advertised,
            route: route.unwrap_or_else(|| uri.clone()).into(),
            via: format!("Via: SIP/2.0/{name} {advertised};branch=z9hG4bK").into(),
            uri: uri.into(),
            sent_by: advertised.to_string().into(),
        }
    }

    /// `192.0.2.1`, as it stands in what we write.
    fn host(&self) -> &[u8] {
        let text = self.sent_by.as_bytes();
        let colon = text.iter().rposition(|b| *b == b':');
        &text[..colon.unwrap_or(text.len())]
    }

    /// Our Via line; `branch` writes what stands behind the cookie.
    pub fn write_via(
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

    /// The value of a Via of ours that has nothing but a branch.
    #[must_use]
    pub fn via(&self, branch: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let line = self.via.as_bytes();
        let mut value = line.strip_prefix(b"Via: ").unwrap_or(line).to_vec();
        branch(&mut value);
        value
    }

    /// A header line whose value is a URI of ours; `user` writes its user part.
    pub fn write_uri(
        &self,
        out: &mut Vec<u8>,
        header: &str,
        user: impl FnOnce(&mut Vec<u8>),
        parameters: &str,
    ) {
        write_line(out, header, user, [&self.uri, parameters]);
    }
}

/// All our listeners, and our other names.
#[derive(Clone, Debug, Default)]
pub struct Hops {
    hops: Vec<Hop>,
    names: Vec<Box<str>>,
    /// What stands in Record-Route instead of addresses.
    route_name: Option<Box<str>>,
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
            route_name: None,
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

    /// Has Record-Route carry a name in place of our addresses, or those again: one that others lead
    /// to as well, who open what we sealed.
    pub fn set_route_name(&mut self, name: Option<Box<str>>) {
        self.route_name = name;
        for hop in &mut self.hops {
            let listener = Listener {
                id: hop.id,
                transport: hop.transport,
                advertised: hop.advertised,
            };
            *hop = Hop::new(&listener, self.route_name.as_deref());
        }
    }

    /// Adds a listener, or changes it.
    pub fn set(&mut self, listener: &Listener) {
        self.hops.retain(|hop| hop.id != listener.id);
        let hop = Hop::new(listener, self.route_name.as_deref());
        self.hops.push(hop);
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

    /// Record-Route with this user part, once for each side if they are reached by different
    /// listeners (RFC 5658 §4): the first is the one towards the receiver.
    pub fn write_record_route(
        &self,
        out: &mut Vec<u8>,
        [onward, back]: [ListenerId; 2],
        user: impl Fn(&mut Vec<u8>),
    ) {
        let sides = [Some(onward), Some(back).filter(|back| *back != onward)];
        // Sealing costs more than copying.
        let mut sealed: Option<Range<usize>> = None;
        for hop in sides.into_iter().flatten().filter_map(|id| self.of(id)) {
            let user = |out: &mut Vec<u8>| {
                let start = out.len();
                match sealed.clone() {
                    Some(sealed) => out.extend_from_within(sealed),
                    None => user(out),
                }
                sealed = Some(start..out.len());
            };
            write_line(out, "Record-Route", user, [&hop.route, ""]);
        }
    }

    /// Whether a URI leads to us.
    #[must_use]
    pub fn owns(&self, uri: &Uri<'_>) -> bool {
        let named = |name: &str| uri.host.eq_ignore_ascii_case(name.as_bytes());
        let mut names = self.names.iter().chain(&self.route_name);
        if names.any(|name| named(name)) {
            return true;
        }
        let default = || {
            let transport = uri.transport().unwrap_or(Transport::Udp);
            transport.default_port()
        };
        let port = uri.port.unwrap_or_else(default);
        self.is_at(uri.host, port) || self.is_inside(uri.host, port)
    }

    /// Whether a Via was written by us.
    #[must_use]
    pub fn wrote(&self, via: &sip::Via<'_>) -> bool {
        let port = via.port.unwrap_or(Transport::Udp.default_port());
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

    /// Whether neighbours find us there.
    fn is_inside(&self, host: &[u8], port: u16) -> bool {
        let mut there = self.inner.iter().filter(|inner| inner.port() == port);
        there.any(|inner| sip::uri::parse_ip(host) == Some(inner.ip()))
    }
}

/// A header line with a URI of ours.
fn write_line(
    out: &mut Vec<u8>,
    header: &str,
    user: impl FnOnce(&mut Vec<u8>),
    [host, parameters]: [&str; 2],
) {
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(b": <sip:");
    user(out);
    for part in [host, parameters, ">\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
