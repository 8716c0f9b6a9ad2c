//! The resolver, and the addresses it knows.

use std::net::SocketAddr;

use sip::{Target, Targets, Transport};

use crate::dice::Dice;
use crate::platform::{CUSTOMER_NAME, GATEWAY_NAME, customer_address, gateway_address};

/// An address that swallows everything.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 99], 5060))
}

/// The targets of a host. Sometimes the resolver fails, and sometimes the first target is dead.
pub(crate) fn look_up(host: &str, port: Option<u16>, dice: &mut Dice) -> Targets {
    let udp = |mut remote: SocketAddr| {
        remote.set_port(port.unwrap_or(5060));
        Target {
            transport: Transport::Udp,
            remote,
        }
    };
    let mut targets = Targets::new();
    let found = match host {
        GATEWAY_NAME => gateway_address(2),
        CUSTOMER_NAME => customer_address(),
        _ => return targets,
    };
    if dice.percent(5) {
        return targets;
    }
    if host == GATEWAY_NAME && dice.percent(20) {
        targets.push(udp(nobody()));
    }
    targets.push(udp(found));
    targets
}
