//! The connections that we are registered on, RFC 5626 §3.5.1 and §4.5.
//!
//! A carrier calls us on the connection that we registered on: behind a NAT there is no other
//! way. So it is kept open, and when it is gone we register at once on a new one.
//!
//! Deviation from RFC 5626 §4.4.1: no answer to a ping is waited for, because most carriers have
//! not promised one (RFC 6223). A peer that is gone is noticed as the connection fails.

use core::time::Duration;

use clock::Time;
use sip::{ConnId, Flow};

use super::registration::Registration;
use super::{Upstream, UpstreamId, UpstreamOutput};

/// Between two pings: less than what RFC 5626 §4.4.1 has as the longest for connections, so that
/// NATs with short memories take part.
const PING_INTERVAL: Duration = Duration::from_secs(95);

impl Upstream {
    /// A connection is gone: whoever was registered on it cannot be called until it registers on
    /// another one.
    pub fn handle_connection_closed(&mut self, now: Time, conn: ConnId) {
        for id in self.by_conn.remove(&conn).unwrap_or_default() {
            let Some(registration) = self.registrations.get_mut(&id) else {
                continue;
            };
            if let Some(due) = registration.ping_due.take() {
                self.pings.remove(&(due, id));
            }
            let wait = registration.lose_flow(now);
            if !registration.is_asking() && !registration.is_leaving() {
                self.set_timer(id, now + wait);
            }
        }
        self.handle_timeout(now);
    }

    /// A carrier has accepted a registration by this path.
    pub(super) fn accepted_on(&mut self, now: Time, id: UpstreamId, flow: Flow) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let before = registration.conn();
        registration.take_flow(now, flow);
        let after = registration.conn();
        if before == after {
            return;
        }
        if let Some(due) = registration.ping_due.take() {
            self.pings.remove(&(due, id));
        }
        if let Some(before) = before {
            self.leave_conn(id, before);
        }
        if let Some(after) = after {
            self.by_conn.entry(after).or_default().insert(id);
            self.plan_ping(id, now + PING_INTERVAL);
        }
    }

    /// Pings what is due.
    pub(super) fn keep_alive(&mut self, now: Time) {
        while let Some((due, id)) = self.pings.first().copied()
            && due <= now
        {
            self.pings.pop_first();
            let registration = self.registrations.get(&id);
            if let Some((flow, _)) = registration.and_then(|registration| registration.flow) {
                self.outputs.push_back(UpstreamOutput::KeepAlive(flow));
                self.plan_ping(id, now + PING_INTERVAL);
            }
        }
    }

    /// A registration is over.
    pub(super) fn forget_flow(&mut self, id: UpstreamId, registration: &Registration) {
        if let Some(due) = registration.ping_due {
            self.pings.remove(&(due, id));
        }
        if let Some(conn) = registration.conn() {
            self.leave_conn(id, conn);
        }
    }

    fn plan_ping(&mut self, id: UpstreamId, due: Time) {
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.ping_due = Some(due);
            self.pings.insert((due, id));
        }
    }

    fn leave_conn(&mut self, id: UpstreamId, conn: ConnId) {
        if let Some(ids) = self.by_conn.get_mut(&conn) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_conn.remove(&conn);
            }
        }
    }
}
