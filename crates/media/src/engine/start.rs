//! What must be true before an engine starts.

use std::time::Instant;

use crate::bind;
use crate::config::EngineConfig;
use crate::error::StartError;
use crate::ports::Ports;

/// Checks a configuration and that its addresses can be bound; the receive buffer granted.
pub(super) fn check(config: &EngineConfig) -> Result<usize, StartError> {
    if config.v4.is_none() && config.v6.is_none() {
        return Err(StartError::Misuse("no address"));
    }
    if config
        .v4
        .is_some_and(|v4| !v4.bind.is_ipv4() || !v4.advertised.is_ipv4())
        || config
            .v6
            .is_some_and(|v6| !v6.bind.is_ipv6() || !v6.advertised.is_ipv6())
    {
        return Err(StartError::Misuse("an address of the wrong family"));
    }
    if config.named.len() > NAMED_MAX {
        return Err(StartError::Misuse("too many named interfaces"));
    }
    if config.workers == 0 {
        return Err(StartError::Misuse("no worker"));
    }
    if Ports::new(&config.ports, config.quarantine).free(Instant::now()) == 0 {
        return Err(StartError::Misuse("the range holds no pair of ports"));
    }
    let mut granted = 0;
    let named = config.named.iter();
    let named = named.flat_map(|named| named.v4.into_iter().chain(named.v6));
    for interface in config.v4.into_iter().chain(config.v6).chain(named) {
        let address = interface.bind;
        granted = bind::socket(address, 0, config.receive_buffer_bytes)
            .and_then(|socket| socket2::SockRef::from(&socket).recv_buffer_size())
            .map_err(|source| StartError::Bind { address, source })?;
    }
    Ok(granted)
}

/// Interfaces by name.
const NAMED_MAX: usize = 64;
