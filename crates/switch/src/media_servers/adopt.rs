//! Sessions of calls that go on at another node: the server knows nothing of it, and keeps them.

use std::net::IpAddr;

use bytes::Bytes;
use call::Side;
use clock::Time;
use model::MediaServerId;

use super::keys::Keys;
use super::plays::Plays;
use super::server::Health;
use super::watch::Watch;
use super::{MediaServers, Session};
use crate::output::CallKey;

/// Where a session is: what another node needs to speak of it with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Which session.
    pub session: u64,
    /// Who has it.
    pub server: MediaServerId,
    /// What its name there begins with.
    pub prefix: u64,
}

/// A session that was begun by another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Whose it is.
    pub call: CallKey,
    /// Where it is.
    pub anchor: Anchor,
    /// Where caller and callee are.
    pub peers: [Option<IpAddr>; 2],
    /// What they have last described; empty for nobody.
    pub described: [Bytes; 2],
}

impl MediaServers {
    /// Takes up a session. If its server is dead or gone the call is told, as of any other.
    ///
    /// Keys that its parties give in different forms are no longer converted.
    pub fn handle_adopted(&mut self, now: Time, adopted: Adopted) {
        let Adopted {
            call,
            anchor,
            peers,
            described,
        } = adopted;
        let Anchor {
            session,
            server: id,
            prefix,
        } = anchor;
        let known = Session {
            call,
            prefix,
            server: id,
            peers,
            offerer: Side::A,
            established: true,
            is_answered: true,
            watch: Watch::of(now, [&described[0], &described[1]]),
            keys: Keys::Pass,
            plays: Plays::default(),
            taped: None,
        };
        self.sessions.insert(session, known);
        match self.servers.get_mut(&id) {
            Some(server) if server.health != Health::Down => {
                server.sessions.insert(session);
                self.watch(now, session);
            }
            _ => self.lose(session),
        }
    }

    /// The call of a session goes on at another node, and the session with it.
    pub fn handle_forsaken(&mut self, session: u64) {
        self.ended.remove(&session);
        if let Some(known) = self.sessions.remove(&session) {
            if let Some(server) = self.servers.get_mut(&known.server) {
                server.sessions.remove(&session);
            }
            self.tell_if_drained(known.server);
        }
    }

    /// Where a session is.
    pub(super) fn anchor(&self, session: u64) -> Option<Anchor> {
        let known = self.sessions.get(&session)?;
        Some(Anchor {
            session,
            server: known.server,
            prefix: known.prefix,
        })
    }
}
