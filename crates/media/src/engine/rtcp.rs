//! The ports of RTCP, which nobody needs where RTCP comes by the port of RTP (RFC 5761).
//!
//! They are bound with those of RTP, for whether a peer shares is known only from its answer, and
//! closed then: a call takes half as many files. Their numbers stay ours, so that they can be
//! opened again when a later negotiation wants them. A peer that has named a port for RTCP, in
//! case it would not be shared, may be one that goes on to use it: for such they stay.

use crate::bind;
use crate::config::AddressFamily;
use crate::worker::Command;

use super::negotiate::{RTCP, channel_id};
use super::{Engine, Side};

impl Engine {
    /// Closes the port of RTCP that faces a side.
    pub(super) fn close_rtcp(&mut self, session: u64, index: usize, side: Side) {
        let Some(session) = self.sessions.get_mut(&session) else {
            return;
        };
        let stream = &mut session.streams[index];
        if !std::mem::replace(&mut stream.is_rtcp_closed[side as usize], true) {
            let channel = channel_id(session.slot, index, RTCP);
            self.workers[session.worker].send([Command::Unbind { channel, side }]);
        }
    }

    /// Opens the port of RTCP that faces a side, if it was closed. Where somebody else has taken
    /// it meanwhile, the side goes without RTCP.
    pub(super) fn reopen_rtcp(&mut self, session: u64, index: usize, side: Side) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        let stream = &mut known.streams[index];
        if !std::mem::replace(&mut stream.is_rtcp_closed[side as usize], false) {
            return;
        }
        let ports = stream.ports[side as usize];
        let (slot, worker, named) = (known.slot, known.worker, known.interfaces[side as usize]);
        for family in [AddressFamily::V4, AddressFamily::V6] {
            let Some(port) = ports[family as usize] else {
                continue;
            };
            let bound = self
                .interface(named, family)
                .ok()
                .map(|interface| bind::socket(interface.bind, port + 1, bind::RTCP_BUFFER_BYTES));
            match bound {
                Some(Ok(socket)) => self.workers[worker].send([Command::Bind {
                    channel: channel_id(slot, index, RTCP),
                    side,
                    family,
                    socket,
                }]),
                Some(Err(error)) => {
                    tracing::warn!(session, port = port + 1, %error, "a side goes without RTCP");
                }
                None => {}
            }
        }
    }
}
