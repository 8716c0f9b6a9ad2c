//! The configuration of the simulated cluster: users, a customer and two carriers, all of whom are
//! reached at addresses, and switches behind dispatchers.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{LimitSpec, MediaMode, Snapshot};

use crate::dice::Dice;
use crate::platform::{self, customer_address};

/// Where a dispatcher takes calls.
pub(super) fn dispatcher_address(at: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 100 + at as u8], 5060))
}

/// Where a switch does.
pub(super) fn switch_address(at: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + at as u8], 5060))
}

/// Where the API of a switch is.
pub(super) fn door_address(at: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + at as u8], 8080))
}

/// What all switches work with.
pub(super) fn snapshot(dice: &mut Dice, dispatchers: usize) -> Snapshot {
    let mut snapshot = platform::snapshot(dice);
    let settings = &mut snapshot.settings;
    let networks = (0..dispatchers).map(|at| dispatcher_address(at).ip().into());
    settings.dispatchers = networks.collect();
    settings.media = MediaMode::Bypass;
    settings.limits = LimitSpec::default();
    settings.call_duration_max_s = 200;
    // Whom nobody refreshes is found to be gone.
    settings.session_expires_s = 90;
    settings.keep_alive_interval_s = 0;
    // All are reached by addresses.
    snapshot.gateways.retain(|gateway| gateway.id.bits() != 2);
    for gateway in &mut snapshot.gateways {
        Arc::make_mut(gateway).limits = LimitSpec::default();
    }
    for customer in &mut snapshot.customers {
        let customer = Arc::make_mut(customer);
        customer.host = Some(customer_address().ip().to_string());
        customer.limits = LimitSpec::default();
    }
    for account in &mut snapshot.accounts {
        Arc::make_mut(account).limits = LimitSpec::default();
    }
    for user in &mut snapshot.users {
        Arc::make_mut(user).limits = LimitSpec::default();
    }
    for number in &mut snapshot.numbers {
        Arc::make_mut(number).limits = LimitSpec::default();
    }
    for carrier in &mut snapshot.carriers {
        Arc::make_mut(carrier).limits = LimitSpec::default();
    }
    snapshot
}
