//! The sockets of a dispatcher.

use anyhow::{Context as _, Result};
use net::{ClientCertificates, ListenerSpec, Net};
use sip::ListenerId;

use super::DispatcherOptions;
use super::machine::Desk;
use crate::addresses;

/// Opens all, in the order of the flags: sealed routes name them by their place in it.
pub(super) fn open(options: &DispatcherOptions, net: &Net, desk: &Desk) -> Result<()> {
    let told = super::tls_options(options);
    for (id, listen) in options.listen.iter().enumerate() {
        let advertised = addresses::advertised(&told, listen.address.ip());
        let spec = ListenerSpec {
            id: ListenerId(id as u16),
            transport: listen.transport,
            bind: listen.address,
            advertised: (advertised != listen.address.ip()).then(|| net::Advertised {
                host: advertised.to_string().into(),
                port: listen.address.port(),
            }),
            clients: ClientCertificates::Unasked,
            owner: net::AddressOwner::Machine,
        };
        let status = net
            .add_listener(&spec)
            .with_context(|| format!("cannot listen on {} {}", listen.transport, listen.address))?;
        if status.is_receive_buffer_short() {
            tracing::warn!(
                granted = status.receive_buffer_bytes,
                asked = net::UDP_BUFFER_BYTES,
                "small UDP receive buffer: set net.core.rmem_max"
            );
        }
        let listener = crate::listeners::for_switch(&status);
        let listener = dispatcher::Listener {
            id: listener.id,
            transport: listener.transport,
            advertised: listener.advertised,
        };
        let (id, transport) = (spec.id.0, spec.transport);
        tracing::info!(id, %transport, address = %status.local, "listening");
        desk.tell(move |_, dispatcher| dispatcher.set_listener(&listener))?;
    }
    Ok(())
}
