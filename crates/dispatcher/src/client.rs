//! The way to a client: the flow that its requests came by, or what messages name
//! (RFC 3261 §16.6 point 6, §18.2.2).
//!
//! Phones behind NATs are where their requests come from, whatever they write. Others are where
//! they say: a proxy may stand aside once a call is up, and a peer that has closed its connection
//! waits for a new one.

use std::net::{IpAddr, SocketAddr};

use forward::{Dialog, End, NextHop};
use sip::transaction::response_address;
use sip::uri::{Scheme, Uri, parse_ip};
use sip::{Destination, Flow, HeaderName, Message, NameAddr, Transport, Via};

use crate::Dispatcher;
use crate::request::Ingress;

impl Dispatcher {
    /// How a client that begins a dialog is to be reached inside it.
    pub(crate) fn next_hop_to(ingress: &Ingress, message: &Message) -> NextHop {
        let flow = &ingress.flow;
        let Ok(via) = message.via() else {
            return NextHop::Flow;
        };
        let is_behind_proxy = || message.values(HeaderName::Via).nth(1).is_some();
        let is_named = match flow.transport {
            Transport::Ws | Transport::Wss => false,
            Transport::Udp => {
                let port = via.port.unwrap_or(flow.transport.default_port());
                let is_open =
                    port == flow.remote.port() && parse_ip(via.host) == Some(flow.remote.ip());
                is_open || is_behind_proxy()
            }
            Transport::Tcp | Transport::Tls => {
                parse_ip(via.host) == Some(flow.remote.ip()) || is_behind_proxy()
            }
        };
        if is_named {
            NextHop::Named
        } else {
            NextHop::Flow
        }
    }

    /// Where a request inside a dialog reaches the client.
    pub(crate) fn way_to_client(
        &self,
        ingress: &Ingress,
        message: &Message,
        own_routes: usize,
        dialog: &Dialog,
    ) -> Option<Destination> {
        let end = &dialog.client;
        let flow = self.live(end);
        if dialog.next_hop == NextHop::Flow || !self.is_of_target(ingress, dialog) {
            return flow;
        }
        let Some(named) = self.named_hop(message, own_routes, end) else {
            return flow;
        };
        // A connection to the same host is used again: it listens on another port than it calls from.
        let is_there = |flow: &Destination| {
            flow.transport() == named.transport()
                && flow.transport().is_reliable()
                && flow.remote().ip() == named.remote().ip()
        };
        flow.filter(is_there).or(Some(named))
    }

    /// Whether a request comes from a target: to others nobody is reached by what they name, or
    /// everybody who has begun a call would reach everything that we reach.
    fn is_of_target(&self, ingress: &Ingress, dialog: &Dialog) -> bool {
        let ip = ingress.flow.remote.ip();
        let mut targets = self.targets().map(|target| target.remote.ip());
        dialog.target.remote.ip() == ip || targets.any(|target| target == ip)
    }

    /// What the next Route value names, or without any the request URI; `None` if it is no address
    /// that can be reached from here.
    fn named_hop(&self, message: &Message, own_routes: usize, end: &End) -> Option<Destination> {
        let route = message.values(HeaderName::Route).nth(own_routes);
        let text = match route {
            Some(value) => NameAddr::parse(value).ok()?.uri,
            None => message.uri(),
        };
        let uri = Uri::parse(text).ok()?;
        let ip = uri.host_ip()?;
        let from = end.remote.ip();
        let is_out_of_reach = is_private(ip) && !is_private(from);
        let is_inside = ip.to_canonical().is_loopback() && !from.to_canonical().is_loopback();
        if is_out_of_reach || is_inside || is_nowhere(ip) || self.hops.owns(&uri) {
            return None;
        }
        let transport = match (uri.scheme, uri.transport()) {
            (Scheme::Sip, None | Some(Transport::Udp)) => Transport::Udp,
            (Scheme::Sip, Some(Transport::Tcp)) => Transport::Tcp,
            (Scheme::Sips, None | Some(Transport::Tcp | Transport::Tls)) => Transport::Tls,
            (Scheme::Sip, Some(Transport::Tls)) => Transport::Tls,
            _ => return None,
        };
        let remote = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
        let hop = self.hops.towards(transport, remote, end.listener)?;
        Some(Destination::Address {
            transport,
            listener: hop.id,
            remote,
            name: "".into(),
        })
    }

    /// Where a client whose connection is gone waits for others: at the port that its Via names,
    /// at the address it had.
    pub(crate) fn way_back_anew(&self, message: &Message, end: &End) -> Option<Destination> {
        if !matches!(end.transport, Transport::Tcp | Transport::Tls) {
            return None;
        }
        let below = message.values(HeaderName::Via).nth(1)?;
        let below = Via::parse(below).ok()?;
        let port = below.port.unwrap_or(end.transport.default_port());
        let name = match parse_ip(below.host) {
            None if end.transport.is_secure() => core::str::from_utf8(below.host).ok()?,
            _ => "",
        };
        Some(Destination::Address {
            transport: end.transport,
            listener: end.listener,
            remote: SocketAddr::new(end.remote.ip(), port),
            name: name.into(),
        })
    }
}

/// Where what is for the sender of a request over UDP goes, its responses among that.
///
/// Deviation from RFC 3261 §18.2.2: who names a private address that the request does not come
/// from is behind a NAT, through which only the port leads back that the request came by, whether
/// or not RFC 3581 was asked for.
pub(crate) fn sender_address(flow: &Flow, via: &Via<'_>) -> SocketAddr {
    let said = response_address(flow, via);
    let from = flow.remote;
    let is_behind_nat = said != from
        && said.ip() == from.ip()
        && parse_ip(via.host).is_some_and(|named| named != from.ip() && is_private(named));
    if is_behind_nat { from } else { said }
}

/// Whether an address is nobody's: a connection to it leads to ourselves, or to many.
fn is_nowhere(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
    }
}

/// Whether an address means something on its own network only.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            // RFC 6598: between a carrier's NAT and those of its customers.
            let is_shared = first == 100 && second & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
