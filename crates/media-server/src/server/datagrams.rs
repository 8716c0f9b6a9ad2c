//! Requests in datagrams.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use crate::desk::Desk;
use crate::error::StartError;
use crate::gate::Gate;

/// The sockets for datagrams.
pub(super) struct Datagrams {
    sockets: Vec<Socket>,
    buffer: Vec<u8>,
}

struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
    /// Whether it may have something.
    readable: bool,
}

impl Datagrams {
    pub(super) fn bind(addresses: &[SocketAddr], registry: &Registry) -> Result<Self, StartError> {
        let mut sockets = Vec::with_capacity(addresses.len());
        for (at, address) in addresses.iter().enumerate() {
            let listen = |source| StartError::Listen {
                address: *address,
                source,
            };
            let mut socket = UdpSocket::bind(*address).map_err(listen)?;
            registry
                .register(&mut socket, Token(at), Interest::READABLE)
                .map_err(listen)?;
            let address = socket.local_addr().map_err(listen)?;
            sockets.push(Socket {
                socket,
                address,
                readable: true,
            });
        }
        Ok(Self {
            sockets,
            buffer: vec![0; DATAGRAM_BYTES_MAX],
        })
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.address).collect()
    }

    /// A socket has something.
    pub(super) fn mark(&mut self, token: Token) {
        if let Some(socket) = self.sockets.get_mut(token.0) {
            socket.readable = true;
        }
    }

    /// Answers what has come. Edge-triggered: each socket is read until it is empty; a flood of one
    /// is served to its end only while its own buffer lasts, so the others wait for that long.
    pub(super) fn serve(&mut self, desk: &mut Desk, gate: &Gate) {
        for socket in &mut self.sockets {
            while socket.readable {
                match socket.socket.recv_from(&mut self.buffer) {
                    Ok((length, source)) => {
                        let message = &self.buffer[..length];
                        answer(&socket.socket, source, message, desk, gate);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        socket.readable = false;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // What a peer that is gone made the kernel say of an earlier reply.
                    Err(error) => tracing::debug!(%error, "receiving requests failed"),
                }
            }
        }
    }
}

fn answer(socket: &UdpSocket, source: SocketAddr, message: &[u8], desk: &mut Desk, gate: &Gate) {
    if !gate.admits(source.ip()) {
        return;
    }
    let Some(reply) = desk.handle(source, message, Instant::now()) else {
        return;
    };
    // A client that does not read asks again, and gets the reply that is kept.
    if let Err(error) = socket.send_to(&reply, source) {
        tracing::debug!(%error, %source, bytes = reply.len(), "a reply could not be sent");
    }
}

/// The longest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
