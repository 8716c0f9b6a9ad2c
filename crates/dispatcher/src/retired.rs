//! Targets that were taken out, and whose calls still end there.

use std::collections::VecDeque;
use std::net::SocketAddr;

use sip::{Destination, Transport};

use crate::Target;

/// What it takes to reach them.
#[derive(Debug, Default)]
pub(crate) struct Retired(VecDeque<Gone>);

#[derive(Debug)]
struct Gone {
    transport: Transport,
    remote: SocketAddr,
    /// The name that its certificate must have.
    name: Box<str>,
    seen: LastSeen,
}

/// How a target was when it was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastSeen {
    /// Somebody answered there.
    Alive,
    /// Nobody did.
    Dead,
}

impl Gone {
    fn is_at(&self, transport: Transport, remote: SocketAddr) -> bool {
        (self.transport, self.remote) == (transport, remote)
    }
}

impl Retired {
    /// Keeps what it takes to reach a target again.
    pub(crate) fn note(&mut self, target: &Target, seen: LastSeen) {
        let Target {
            transport,
            remote,
            name,
            ..
        } = target;
        self.0.retain(|gone| !gone.is_at(*transport, *remote));
        if self.0.len() >= RETIRED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Gone {
            transport: *transport,
            remote: *remote,
            name: name.clone(),
            seen,
        });
    }

    /// Whether a target was there.
    pub(crate) fn has(&self, transport: Transport, remote: SocketAddr) -> bool {
        self.0.iter().any(|gone| gone.is_at(transport, remote))
    }

    /// Whether a target was there that nobody answered at any more.
    pub(crate) fn is_dead(&self, transport: Transport, remote: SocketAddr) -> bool {
        let mut there = self.0.iter().filter(|gone| gone.is_at(transport, remote));
        there.any(|gone| gone.seen == LastSeen::Dead)
    }

    /// A destination by the name that its certificate must have, if it was a target of ours.
    pub(crate) fn named(&self, to: Destination) -> Destination {
        match to {
            Destination::Address {
                transport,
                listener,
                remote,
                name,
            } => {
                let gone = self.0.iter().find(|gone| gone.is_at(transport, remote));
                Destination::Address {
                    transport,
                    listener,
                    remote,
                    name: gone.map_or(name, |gone| gone.name.clone()),
                }
            }
            flow @ Destination::Flow(_) => flow,
        }
    }
}

/// The most that are remembered; the oldest are forgotten first.
const RETIRED_MAX: usize = 256;
