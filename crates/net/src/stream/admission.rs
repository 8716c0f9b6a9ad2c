//! How many connections may be open, in all and from one source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip::Transport;

use super::StreamLimits;
use crate::counters::{Counters, DropReason};

/// Counts open connections. Locked when one opens or closes, never per message.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    open: Arc<Mutex<Open>>,
    /// Notified when none is open any more.
    none_open: Arc<Condvar>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// The right to one open connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Admission,
    transport: Transport,
    /// `None` for an outgoing connection.
    source: Option<IpAddr>,
}

impl Admission {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            open: Arc::default(),
            none_open: Arc::default(),
            counters,
        }
    }

    /// A permit for a connection accepted from `remote`.
    pub(crate) fn accept(
        &self,
        transport: Transport,
        remote: IpAddr,
        limits: &StreamLimits,
    ) -> Result<Permit, DropReason> {
        let source = source_of(remote);
        let mut open = self.open();
        if open.total >= limits.connections_max {
            return Err(DropReason::TooManyConnections);
        }
        let from_source = open.by_source.entry(source).or_default();
        if *from_source >= limits.connections_per_source_max {
            return Err(DropReason::TooManyFromSource);
        }
        *from_source += 1;
        open.total += 1;
        drop(open);
        Ok(self.permit(transport, Some(source)))
    }

    /// A permit for an outgoing connection.
    pub(crate) fn connect(
        &self,
        transport: Transport,
        limits: &StreamLimits,
    ) -> Result<Permit, DropReason> {
        let mut open = self.open();
        if open.total >= limits.connections_max {
            return Err(DropReason::TooManyConnections);
        }
        open.total += 1;
        drop(open);
        Ok(self.permit(transport, None))
    }

    /// Blocks until no connection is open, or `patience` is at an end; whether none is.
    pub(crate) fn wait_none(&self, patience: Duration) -> bool {
        let (open, _timed_out) = self
            .none_open
            .wait_timeout_while(self.open(), patience, |open| open.total > 0)
            .unwrap_or_else(PoisonError::into_inner);
        open.total == 0
    }

    fn permit(&self, transport: Transport, source: Option<IpAddr>) -> Permit {
        self.counters.count_opened(transport);
        Permit {
            admission: self.clone(),
            transport,
            source,
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.counters.count_closed(self.transport);
        let mut open = self.admission.open();
        open.total -= 1;
        if open.total == 0 {
            self.admission.none_open.notify_all();
        }
        let Some(source) = self.source else {
            return;
        };
        if let Some(from_source) = open.by_source.get_mut(&source) {
            *from_source -= 1;
            if *from_source == 0 {
                open.by_source.remove(&source);
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or an IPv6 /64, which is one subscriber's.
fn source_of(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_and_all_together_are_bounded_and_permits_come_back() {
        let limits = StreamLimits {
            connections_max: 3,
            connections_per_source_max: 2,
            ..StreamLimits::default()
        };
        let admission = Admission::new(Arc::default());
        let accept = |ip: &str| admission.accept(Transport::Tcp, ip.parse().unwrap(), &limits);
        let first = accept("2001:db8::1").unwrap();
        let _second = accept("2001:db8::2").unwrap();
        assert_eq!(
            accept("2001:db8::3").unwrap_err(),
            DropReason::TooManyFromSource
        );
        let _third = accept("2001:db8:0:1::1").unwrap();
        assert_eq!(
            accept("192.0.2.1").unwrap_err(),
            DropReason::TooManyConnections
        );
        assert!(admission.connect(Transport::Tcp, &limits).is_err());
        drop(first);
        assert!(accept("2001:db8::3").is_ok());
        assert!(admission.connect(Transport::Tcp, &limits).is_ok());
    }
}
