//! One UDP listener as the shard owns it: its socket and what waits to be sent.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use sip::{Flow, ListenerId, Transport};

use crate::counters::{Counters, DropReason};
use crate::drive::TransmitError;
use crate::sys::epoll::wait_writable;
use crate::sys::mmsg::{self, Datagram, RecvBatch};

/// A UDP listener.
#[derive(Debug)]
pub(crate) struct UdpListener {
    id: ListenerId,
    socket: UdpSocket,
    /// Waits for the end of the batch.
    outgoing: Vec<Datagram>,
    /// The kernel's drop counter as last reported.
    kernel_drops: u32,
}

impl UdpListener {
    pub(crate) fn new(id: ListenerId, socket: UdpSocket) -> Self {
        Self {
            id,
            socket,
            outgoing: Vec::with_capacity(mmsg::BATCH),
            kernel_drops: 0,
        }
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Receives one batch and passes each datagram to `handle`; how many came.
    pub(crate) fn receive(
        &mut self,
        batch: &mut RecvBatch,
        counters: &Counters,
        mut handle: impl FnMut(Flow, &[u8]),
    ) -> usize {
        let summary = match batch.receive(&self.socket) {
            Ok(summary) => summary,
            Err(error) => {
                tracing::warn!(listener = self.id.0, %error, "receiving failed");
                return 0;
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
            handle(self.flow(remote), received.bytes);
        }
        summary.count
    }

    /// Keeps a datagram for [`UdpListener::flush`].
    pub(crate) fn push(&mut self, datagram: Datagram) {
        self.outgoing.push(datagram);
    }

    /// Sends what was pushed. `failed` gets the key of each datagram that could not be sent.
    pub(crate) fn flush(
        &mut self,
        counters: &Counters,
        mut failed: impl FnMut(u64, TransmitError),
    ) {
        let mut rest = self.outgoing.as_slice();
        while let [first, ..] = rest {
            match mmsg::send(&self.socket, rest) {
                Ok(count) => {
                    counters.count_sent(Transport::Udp, count as u64);
                    rest = &rest[count.max(1)..];
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
                Err(error) => {
                    counters.count_dropped(DropReason::SendFailed, 1);
                    failed(first.key, TransmitError::from_io(&error));
                    rest = &rest[1..];
                }
            }
        }
        self.outgoing.clear();
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

/// How long a full send buffer is waited for, in ms. What is left then is dropped, counted and
/// reported: for UDP the sender's retransmissions make up for it.
const SEND_WAIT_MS: i32 = 5;
