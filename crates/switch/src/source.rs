//! Where a request comes from, if a dispatcher stands before us.

use std::net::{IpAddr, SocketAddr};

use sip::{Flow, HeaderName, Message, Via};

use crate::Switch;

impl Switch {
    /// The path of a request as far as identity and defence are concerned: behind a dispatcher of
    /// ours its `remote` is what the dispatcher saw, which stands in the Via below its own
    /// (RFC 3261 §18.2.1, RFC 3581 §4). Answers go to the dispatcher all the same.
    pub(crate) fn source(&self, flow: Flow, message: &Message) -> Flow {
        if !self.is_dispatcher(flow.remote.ip()) {
            return flow;
        }
        let below = message.values(HeaderName::Via).nth(1);
        let Some(via) = below.and_then(|via| Via::parse(via).ok()) else {
            // The dispatcher speaks for itself.
            return flow;
        };
        let said = via.received().or_else(|| sip::uri::parse_ip(via.host));
        let Some(ip) = said else { return flow };
        let port = via.rport().or(via.port);
        let port = port.unwrap_or(flow.transport.default_port());
        Flow {
            remote: SocketAddr::new(ip, port),
            ..flow
        }
    }

    /// Whether an address is that of a dispatcher of ours.
    pub(crate) fn is_dispatcher(&self, address: IpAddr) -> bool {
        let dispatchers = &self.snapshot.settings.dispatchers;
        dispatchers.iter().any(|network| network.contains(&address))
    }
}
