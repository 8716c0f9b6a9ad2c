//! One UDP listener as the shard owns it: its socket and what waits to be sent.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use os::{LongDatagrams, is_too_long, set_long_datagrams, wait_writable};
use sip::{Flow, ListenerId, Transport};

use crate::counters::{Counters, DropReason};
use crate::drive::TransmitError;
use crate::listener::AddressOwner;
use crate::stun::{self, Verdict};
use crate::sys::icmp;
use crate::sys::mmsg::{self, Datagram, RecvBatch};

/// A UDP listener.
#[derive(Debug)]
pub(crate) struct UdpListener {
    id: ListenerId,
    socket: UdpSocket,
    /// Whose the address is that it is bound to.
    owner: AddressOwner,
    /// Waits for the end of the batch.
    outgoing: Vec<Datagram>,
    /// The latest destinations of datagrams with a key, oldest first.
    recent: VecDeque<(SocketAddr, u64)>,
    /// The kernel's drop counter as last reported.
    kernel_drops: u32,
}

/// What came of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As much as a batch holds; there may be more.
    Full,
    /// All that was there.
    Drained,
    /// Nothing was there, though the socket was ready: it may have reports.
    Nothing,
    /// The socket reported an error.
    Error,
}

impl UdpListener {
    pub(crate) fn new(id: ListenerId, socket: UdpSocket, owner: AddressOwner) -> Self {
        Self {
            id,
            socket,
            owner,
            outgoing: Vec::with_capacity(mmsg::BATCH),
            recent: VecDeque::with_capacity(RECENT_MAX),
            kernel_drops: 0,
        }
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Receives one batch and passes each datagram to `handle`.
    pub(crate) fn receive(
        &mut self,
        batch: &mut RecvBatch,
        counters: &Counters,
        mut handle: impl FnMut(Flow, &[u8]),
    ) -> Outcome {
        let summary = match batch.receive(&self.socket) {
            Ok(summary) => summary,
            // With RECVERR set, the socket hands out each network error once, whatever it was
            // called for.
            Err(error) => {
                tracing::debug!(listener = self.id.0, %error, "receiving failed");
                return Outcome::Error;
            }
        };
        if let Some(drops) = summary.kernel_drops {
            let new = drops.wrapping_sub(self.kernel_drops);
            self.kernel_drops = drops;
            counters.count_dropped(DropReason::ReceiveBufferFull, u64::from(new));
        }
        counters.count_received(Transport::Udp, summary.count as u64);
        for received in batch.iter() {
            let Some(remote) = received.remote else {
                continue;
            };
            if received.truncated {
                counters.count_dropped(DropReason::Truncated, 1);
                continue;
            }
            match stun::judge(received.bytes, remote) {
                Verdict::Sip => handle(self.flow(remote), received.bytes),
                Verdict::Answer(bytes) => {
                    counters.count_stun_answered();
                    self.outgoing.push(Datagram {
                        remote,
                        bytes,
                        key: 0,
                    });
                }
                Verdict::Drop => counters.count_dropped(DropReason::Stun, 1),
            }
        }
        match summary.count {
            0 => Outcome::Nothing,
            mmsg::BATCH => Outcome::Full,
            _ => Outcome::Drained,
        }
    }

    /// Takes what the network said about datagrams sent, and names those that are thereby known
    /// to have failed (RFC 3261 §18.4); how many reports there were.
    pub(crate) fn handle_reports(&mut self, mut failed: impl FnMut(u64, TransmitError)) -> usize {
        let mut count = 0;
        while count < REPORTS_PER_ROUND {
            let Ok(Some(report)) = icmp::next_report(&self.socket) else {
                break;
            };
            let (Some(remote), Some(errno)) = (report.remote, report.errno) else {
                continue;
            };
            count += 1;
            // Too long for its path: it was lost, and goes in fragments when it is sent again.
            if errno == libc::EMSGSIZE {
                continue;
            }
            let error = TransmitError::from_io(&io::Error::from_raw_os_error(errno));
            self.recent.retain(|(to, key)| {
                if *to == remote {
                    failed(*key, error);
                }
                *to != remote
            });
        }
        count
    }

    /// Keeps a datagram for [`UdpListener::flush`].
    pub(crate) fn push(&mut self, datagram: Datagram) {
        self.outgoing.push(datagram);
    }

    /// Whether anything waits to be sent.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Sends what was pushed. `failed` gets the key of each datagram that could not be sent.
    pub(crate) fn flush(
        &mut self,
        counters: &Counters,
        mut failed: impl FnMut(u64, TransmitError),
    ) {
        let outgoing = std::mem::take(&mut self.outgoing);
        let mut rest = outgoing.as_slice();
        while let [first, ..] = rest {
            match mmsg::send(&self.socket, rest) {
                Ok(count) => {
                    let (sent, unsent) = rest.split_at(count.clamp(1, rest.len()));
                    counters.count_sent(Transport::Udp, sent.len() as u64);
                    self.remember(sent);
                    rest = unsent;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait_writable(&self.socket, SEND_WAIT_MS) {
                        counters.count_dropped(DropReason::SendBufferFull, rest.len() as u64);
                        for datagram in rest {
                            failed(datagram.key, TransmitError::BufferFull);
                        }
                        break;
                    }
                }
                Err(error) if is_too_long(&error) && self.send_in_fragments(first) => {
                    let (sent, unsent) = rest.split_at(1);
                    counters.count_sent(Transport::Udp, 1);
                    self.remember(sent);
                    rest = unsent;
                }
                Err(error) if is_too_long(&error) => {
                    counters.count_dropped(DropReason::SendFailed, 1);
                    failed(first.key, TransmitError::TooLarge);
                    rest = &rest[1..];
                }
                // An error about an earlier datagram shows up at the next call: then the queue
                // has a report, and this datagram is tried again.
                Err(_) if self.handle_reports(&mut failed) > 0 => {}
                // The cluster's address is not here yet, or no more. That is as a datagram that is lost:
                // what is sent again until it is answered goes out once the address has come.
                Err(error) if self.owner == AddressOwner::Cluster && is_not_here(&error) => {
                    counters.count_dropped(DropReason::SendFailed, 1);
                    rest = &rest[1..];
                }
                Err(error) => {
                    counters.count_dropped(DropReason::SendFailed, 1);
                    failed(first.key, TransmitError::from_io(&error));
                    rest = &rest[1..];
                }
            }
        }
        self.outgoing = outgoing;
        self.outgoing.clear();
    }

    /// Sends a datagram that is longer than its path takes; whether that was possible. Few are.
    fn send_in_fragments(&self, datagram: &Datagram) -> bool {
        let set = |long| set_long_datagrams(&self.socket, long).is_ok();
        let sent = set(LongDatagrams::Fragmented)
            && mmsg::send(&self.socket, std::slice::from_ref(datagram)).is_ok();
        // On IPv6 there is nothing to set back, and nothing that helps.
        set(LongDatagrams::Refused);
        sent
    }

    /// Keeps in mind who wants to know of which destination.
    fn remember(&mut self, sent: &[Datagram]) {
        for datagram in sent.iter().filter(|datagram| datagram.key != 0) {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((datagram.remote, datagram.key));
        }
    }

    fn flow(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            listener: self.id,
            conn: None,
            remote,
        }
    }
}

/// Whether a datagram could not be sent because its socket's address is not one of this machine.
fn is_not_here(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EADDRNOTAVAIL)
    )
}

/// How long a full send buffer is waited for, in ms. What is left then is dropped, counted and
/// reported: for UDP the sender's retransmissions make up for it.
const SEND_WAIT_MS: i32 = 5;
/// Destinations kept in mind; a report that comes after so many others says nothing to anybody, and
/// timers must do.
const RECENT_MAX: usize = 512;
/// Reports taken at a time; the rest come in the next round.
const REPORTS_PER_ROUND: usize = 64;
