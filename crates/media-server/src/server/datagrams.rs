//! Requests in datagrams.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::waiting::{Return, Waiting};
use crate::desk::{Desk, Handled};
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
    pub(super) fn serve(&mut self, desk: &mut Desk, gate: &Gate, waiting: &mut Waiting) {
        for (at, socket) in self.sockets.iter_mut().enumerate() {
            while socket.readable {
                match socket.socket.recv_from(&mut self.buffer) {
                    Ok((_, source)) if !gate.admits(source.ip()) => {}
                    Ok((length, source)) => {
                        let message = &self.buffer[..length];
                        if waiting.has(source, message) {
                            continue;
                        }
                        match desk.handle(source, message, Instant::now()) {
                            Handled::Answered(reply) => answer(&socket.socket, source, &reply),
                            Handled::NoMessage => {}
                            Handled::Later => waiting.keep(source, message, Return::Datagram(at)),
                        }
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

    /// Answers by one of the sockets, counted from 0.
    pub(super) fn answer(&self, at: usize, source: SocketAddr, reply: &[u8]) {
        if let Some(socket) = self.sockets.get(at) {
            answer(&socket.socket, source, reply);
        }
    }
}

fn answer(socket: &UdpSocket, source: SocketAddr, reply: &[u8]) {
    // A client that does not read asks again, and gets the reply that is kept.
    if let Err(error) = socket.send_to(reply, source) {
        tracing::debug!(%error, %source, bytes = reply.len(), "a reply could not be sent");
    }
}

/// The longest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
