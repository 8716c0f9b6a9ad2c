//! Our listening addresses, as the switch tells them to others.

use std::net::{IpAddr, SocketAddr};

pub use forward::Listener;
use sip::{Flow, ListenerId, Transport};

/// All listeners of the node.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    all: Vec<Listener>,
    /// Those at an address that moves between nodes, and whether it is at this one.
    moving: Vec<(ListenerId, Presence)>,
}

/// Whether an address that moves between nodes is at this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is here.
    Here,
    /// Another node may have it.
    Elsewhere,
}

impl Listeners {
    /// Adds one, or changes it.
    pub fn set(&mut self, listener: Listener) {
        self.remove(listener.id);
        self.all.push(listener);
    }

    /// Takes one away.
    pub fn remove(&mut self, id: ListenerId) {
        self.all.retain(|l| l.id != id);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Listener] {
        &self.all
    }

    /// Whether the address of a listener is here: it is one that moves between nodes.
    pub fn set_presence(&mut self, id: ListenerId, presence: Presence) {
        match self.moving.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = presence,
            None => self.moving.push((id, presence)),
        }
    }

    /// Something came to a listener: its address is here.
    pub(crate) fn heard(&mut self, id: ListenerId) {
        if !self.moving.iter().any(|(known, _)| *known == id) {
            return;
        }
        // All listeners that move are at one address.
        for (_, presence) in &mut self.moving {
            *presence = Presence::Here;
        }
    }

    /// A path as it can be spoken on now: from another listener where its own is at an address that is
    /// not here, for what is answered to that finds another node.
    pub(crate) fn speaking(&self, flow: Flow) -> Flow {
        let away = (flow.listener, Presence::Elsewhere);
        if flow.transport.is_reliable() || !self.moving.contains(&away) {
            return flow;
        }
        let listener = self.toward(flow.transport, flow.remote.ip());
        Flow {
            listener: listener.unwrap_or(flow.listener),
            ..flow
        }
    }

    /// Who speaks to a phone that registered at another node: the listener at the address where it did so,
    /// if that has moved here; else as [`Listeners::toward`].
    pub(crate) fn in_place_of(&self, flow: &Flow) -> ListenerId {
        let moves = self.moving.iter().any(|(known, _)| *known == flow.listener);
        if moves && self.here(*flow).listener == flow.listener {
            return flow.listener;
        }
        let own = self.toward(flow.transport, flow.remote.ip());
        own.unwrap_or_else(|| self.first())
    }

    /// The first; the one that speaks when nothing is known of the peer.
    #[must_use]
    pub fn first(&self) -> ListenerId {
        self.all.first().map_or(ListenerId(0), |l| l.id)
    }

    /// Who speaks to a peer: a listener of the transport and, if there is one, of the peer's
    /// address family. Streams need no listener of their own transport to connect, so the first
    /// one speaks for them if need be.
    #[must_use]
    pub fn toward(&self, transport: Transport, peer: IpAddr) -> Option<ListenerId> {
        let same = |l: &&Listener| l.transport == transport;
        self.all
            .iter()
            .filter(same)
            .find(|l| l.advertised.is_ipv4() == peer.is_ipv4())
            .or_else(|| self.all.iter().find(same))
            .map(|l| l.id)
    }

    /// Where a listener says that it is.
    pub(crate) fn advertised(&self, id: ListenerId) -> Option<SocketAddr> {
        let found = self.all.iter().find(|listener| listener.id == id);
        found.map(|listener| listener.advertised)
    }

    /// A path of another node, with the listener that speaks on it here: the one of the same number, for
    /// a virtual address has the same on all nodes.
    pub(crate) fn here(&self, flow: Flow) -> Flow {
        let same = |l: &Listener| l.id == flow.listener && l.transport == flow.transport;
        if self.all.iter().any(same) {
            return flow;
        }
        let listener = self.toward(flow.transport, flow.remote.ip());
        Flow {
            listener: listener.unwrap_or_else(|| self.first()),
            ..flow
        }
    }

    /// The Contact URI of each listener, by its id.
    #[must_use]
    pub fn contacts(&self) -> Vec<Box<str>> {
        let size = self
            .all
            .iter()
            .map(|l| usize::from(l.id.0) + 1)
            .max()
            .unwrap_or(0);
        let mut out = vec![Box::<str>::default(); size];
        for listener in &self.all {
            let uri = match listener.transport {
                Transport::Udp => format!("sip:{}", listener.advertised),
                transport => format!("sip:{};transport={transport}", listener.advertised),
            };
            out[usize::from(listener.id.0)] = uri.into();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_the_family_speaks() {
        let mut all = Listeners::default();
        for (id, transport, address) in [
            (0, Transport::Udp, "192.0.2.1:5060"),
            (1, Transport::Udp, "[2001:db8::1]:5060"),
            (2, Transport::Tcp, "192.0.2.1:5060"),
        ] {
            let advertised = address.parse().unwrap();
            all.set(Listener {
                id: ListenerId(id),
                transport,
                advertised,
            });
        }
        let v6 = "2001:db8::9".parse().unwrap();
        assert_eq!(all.toward(Transport::Udp, v6), Some(ListenerId(1)));
        assert_eq!(all.toward(Transport::Tcp, v6), Some(ListenerId(2)));
        assert_eq!(all.toward(Transport::Wss, v6), None);
        assert_eq!(&*all.contacts()[2], "sip:192.0.2.1:5060;transport=tcp");
    }

    #[test]
    fn a_phone_is_spoken_to_from_a_virtual_address_where_that_is() {
        let mut listeners = Listeners::default();
        for (id, address) in [(0, "10.0.0.2:5060"), (10, "10.0.0.100:5060")] {
            listeners.set(Listener {
                id: ListenerId(id),
                transport: Transport::Udp,
                advertised: address.parse().unwrap(),
            });
        }
        let of_phone = Flow {
            transport: Transport::Udp,
            listener: ListenerId(10),
            conn: None,
            remote: "192.0.2.7:5060".parse().unwrap(),
        };
        listeners.set_presence(ListenerId(10), Presence::Elsewhere);
        assert_eq!(listeners.in_place_of(&of_phone), ListenerId(10));
        assert_eq!(listeners.speaking(of_phone).listener, ListenerId(0));
        listeners.heard(ListenerId(0));
        assert_eq!(listeners.speaking(of_phone).listener, ListenerId(0));
        listeners.heard(ListenerId(10));
        assert_eq!(listeners.speaking(of_phone), of_phone);
        listeners.set_presence(ListenerId(10), Presence::Elsewhere);
        assert_eq!(listeners.speaking(of_phone).listener, ListenerId(0));
    }

    #[test]
    fn a_virtual_address_speaks_on_whichever_node_it_is() {
        let mut listeners = Listeners::default();
        for (id, address) in [(0, "10.0.0.2:5060"), (10, "10.0.0.100:5060")] {
            listeners.set(Listener {
                id: ListenerId(id),
                transport: Transport::Udp,
                advertised: address.parse().unwrap(),
            });
        }
        let of_another = |listener| Flow {
            transport: Transport::Udp,
            listener: ListenerId(listener),
            conn: None,
            remote: "192.0.2.7:5060".parse().unwrap(),
        };
        assert_eq!(listeners.here(of_another(10)).listener, ListenerId(10));
        assert_eq!(listeners.here(of_another(7)).listener, ListenerId(0));
    }
}
