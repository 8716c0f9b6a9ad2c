//! The node's listeners: those of the start, and those added by an operator, which are kept.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use control::ClientCertificates;
use model::TransportSpec;
use net::{AddressOwner, Advertised, ListenerSpec, ListenerStatus, Net};
use serde::{Deserialize, Serialize};
use sip::{ListenerId, Transport};

use crate::UpOptions;
use crate::addresses;
use crate::data::Data;

/// The first number of listeners that operators add.
pub(crate) const ADDED_FIRST: u16 = 100;

/// The numbers of those at the virtual address.
pub(crate) const VIRTUAL: std::ops::RangeInclusive<u16> = 10..=14;

/// A listener that an operator added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Added {
    pub(crate) id: u16,
    pub(crate) transport: TransportSpec,
    pub(crate) address: SocketAddr,
    #[serde(default)]
    pub(crate) client_certificates: ClientCertificates,
}

/// The listeners of a start: five of the bound family, five of the other one, if all
/// addresses are asked for and the machine has such, and five of the virtual address. Numbers stay the same over restarts, for
/// registrations remember them.
pub(crate) fn of_start(options: &UpOptions) -> Vec<ListenerSpec> {
    let mut all = Vec::new();
    let mut add = |id: u16, transport, address: IpAddr, port| {
        all.push(spec(
            options,
            ListenerId(id),
            transport,
            SocketAddr::new(address, port),
        ));
    };
    add(0, Transport::Udp, options.bind, options.sip_port);
    add(1, Transport::Tcp, options.bind, options.sip_port);
    add(2, Transport::Tls, options.bind, options.tls_port);
    add(3, Transport::Ws, options.bind, options.ws_port);
    add(4, Transport::Wss, options.bind, options.wss_port);
    if let Some(other) = other_family(options) {
        add(5, Transport::Udp, other, options.sip_port);
        add(6, Transport::Tcp, other, options.sip_port);
        add(7, Transport::Tls, other, options.tls_port);
        add(8, Transport::Ws, other, options.ws_port);
        add(9, Transport::Wss, other, options.wss_port);
    }
    if let Some(shared) = options.virtual_address {
        let mut add = |id: u16, transport, port| {
            all.push(ListenerSpec {
                id: ListenerId(id),
                transport,
                bind: SocketAddr::new(shared, port),
                // Peers are to find whoever has it, whatever else this machine is known as.
                advertised: None,
                clients: net::ClientCertificates::Unasked,
                owner: AddressOwner::Cluster,
            });
        };
        add(10, Transport::Udp, options.sip_port);
        add(11, Transport::Tcp, options.sip_port);
        add(12, Transport::Tls, options.tls_port);
        add(13, Transport::Ws, options.ws_port);
        add(14, Transport::Wss, options.wss_port);
    }
    all
}

/// All addresses of the family that `bind` is not of, if all are asked for and there are such:
/// every machine has IPv4, and IPv6 is worth a socket where it leads out.
pub(crate) fn other_family(options: &UpOptions) -> Option<IpAddr> {
    if !options.bind.is_unspecified() {
        return None;
    }
    match options.bind {
        IpAddr::V4(_) => {
            let v6 = IpAddr::from([0; 16]);
            addresses::outgoing(v6).map(|_| v6)
        }
        IpAddr::V6(_) => Some(IpAddr::from([0; 4])).filter(|v4| addresses::can_bind(*v4)),
    }
}

/// Whether a listener of this transport can ask its clients for certificates as is wanted.
pub(crate) fn can_ask(transport: Transport, wanted: ClientCertificates) -> bool {
    transport.is_secure() || wanted == ClientCertificates::Unasked
}

/// The listeners that operators added before.
pub(crate) fn added(data: &Data, options: &UpOptions) -> Vec<ListenerSpec> {
    let kept: Vec<Added> = data.read("listeners.json").unwrap_or_default();
    kept.into_iter()
        .map(|a| ListenerSpec {
            clients: clients(a.client_certificates),
            ..spec(options, ListenerId(a.id), transport(a.transport), a.address)
        })
        .collect()
}

pub(crate) fn spec(
    options: &UpOptions,
    id: ListenerId,
    transport: Transport,
    bind: SocketAddr,
) -> ListenerSpec {
    let told = addresses::advertised(options, bind.ip());
    let advertised = (told != bind.ip()).then(|| Advertised {
        host: told.to_string().into(),
        port: bind.port(),
    });
    ListenerSpec {
        id,
        transport,
        bind,
        advertised,
        clients: net::ClientCertificates::Unasked,
        owner: AddressOwner::Machine,
    }
}

/// What the switch needs to know of an open listener.
pub(crate) fn for_switch(status: &ListenerStatus) -> switch::Listener {
    let advertised = status.spec.advertised.as_ref().and_then(|a| {
        let ip: IpAddr = a.host.parse().ok()?;
        let port = if a.port == 0 {
            status.local.port()
        } else {
            a.port
        };
        Some(SocketAddr::new(ip, port))
    });
    switch::Listener {
        id: status.spec.id,
        transport: status.spec.transport,
        advertised: advertised.unwrap_or(status.local),
    }
}

/// Writes down which listeners operators have added.
pub(crate) fn keep(data: &Data, net: &Net) -> Result<()> {
    let all: Vec<Added> = net
        .listeners()
        .iter()
        .filter(|l| l.spec.id.0 >= ADDED_FIRST)
        .map(|l| Added {
            id: l.spec.id.0,
            transport: transport_spec(l.spec.transport),
            address: l.local,
            client_certificates: clients_spec(l.spec.clients),
        })
        .collect();
    data.write("listeners.json", &all)
}

pub(crate) const fn transport(spec: TransportSpec) -> Transport {
    match spec {
        TransportSpec::Udp => Transport::Udp,
        TransportSpec::Tcp => Transport::Tcp,
        TransportSpec::Tls => Transport::Tls,
        TransportSpec::Ws => Transport::Ws,
        TransportSpec::Wss => Transport::Wss,
    }
}

pub(crate) const fn transport_spec(transport: Transport) -> TransportSpec {
    match transport {
        Transport::Udp => TransportSpec::Udp,
        Transport::Tcp => TransportSpec::Tcp,
        Transport::Tls => TransportSpec::Tls,
        Transport::Ws => TransportSpec::Ws,
        Transport::Wss => TransportSpec::Wss,
    }
}

pub(crate) const fn clients(wanted: ClientCertificates) -> net::ClientCertificates {
    match wanted {
        ClientCertificates::Unasked => net::ClientCertificates::Unasked,
        ClientCertificates::Asked => net::ClientCertificates::Asked,
        ClientCertificates::Demanded => net::ClientCertificates::Demanded,
    }
}

pub(crate) const fn clients_spec(clients: net::ClientCertificates) -> ClientCertificates {
    match clients {
        net::ClientCertificates::Unasked => ClientCertificates::Unasked,
        net::ClientCertificates::Asked => ClientCertificates::Asked,
        net::ClientCertificates::Demanded => ClientCertificates::Demanded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_with_tls_asks_for_certificates() {
        use Transport::{Tcp, Tls, Udp, Ws, Wss};
        for transport in [Udp, Tcp, Tls, Ws, Wss] {
            let can = can_ask(transport, ClientCertificates::Demanded);
            assert_eq!(can, transport.is_secure(), "{transport}");
            assert!(can_ask(transport, ClientCertificates::Unasked));
        }
    }
}
