//! UDP in batches: recvmmsg and sendmmsg on one non-blocking socket.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmmsg, ppoll and forced buffers have no safe form in std"
)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// Opens a socket; gives its two halves.
pub(crate) fn open(address: SocketAddrV4) -> Result<(Sender, Receiver)> {
    Ok(halves(bind(address)?))
}

/// A socket with large buffers that never blocks.
pub(crate) fn bind(address: impl Into<SocketAddr>) -> Result<UdpSocket> {
    let address = address.into();
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )
    .context("opening a socket")?;
    receive_buffer(&socket).context("asking for a receive buffer")?;
    socket
        .set_send_buffer_size(BUFFER_BYTES)
        .context("asking for a send buffer")?;
    socket
        .set_nonblocking(true)
        .context("making a socket non-blocking")?;
    socket
        .bind(&address.into())
        .with_context(|| format!("binding {address}"))?;
    Ok(socket.into())
}

/// Asks for a large receive buffer: the generator must lose nothing while it is kept waiting for
/// the processor. Without the right to it the kernel gives as much as it allows.
fn receive_buffer(socket: &Socket) -> io::Result<()> {
    let bytes = BUFFER_BYTES as libc::c_int;
    // SAFETY: the option's value is an integer that lives through the call.
    let forced = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if forced == 0 {
        return Ok(());
    }
    socket.set_recv_buffer_size(BUFFER_BYTES)
}

/// The two halves of a socket.
pub(crate) fn halves(socket: UdpSocket) -> (Sender, Receiver) {
    let socket = Rc::new(socket);
    (Sender::new(Rc::clone(&socket)), Receiver::new(socket))
}

/// Waits until one of the receivers can receive, or the time is over.
pub(crate) fn wait(receivers: &[&Receiver], time: Duration) {
    let mut polls: Vec<libc::pollfd> = receivers
        .iter()
        .map(|receiver| libc::pollfd {
            fd: receiver.socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let time = libc::timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(1),
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: the array and the time live through the call; a null mask is allowed. An error
    // (a signal) only ends the wait early.
    unsafe {
        libc::ppoll(
            polls.as_mut_ptr(),
            polls.len() as libc::nfds_t,
            &time,
            std::ptr::null(),
        )
    };
}

/// Collects datagrams and sends them together.
pub(crate) struct Sender {
    socket: Rc<UdpSocket>,
    bytes: Vec<u8>,
    queued: Vec<Queued>,
    /// Datagrams the kernel did not take; they count as sent and are lost.
    pub(crate) refused: u64,
}

/// A datagram that waits.
struct Queued {
    /// Its end in the bytes of the sender.
    end: usize,
    to: SocketAddr,
    /// The IPv4 address it comes from, on a socket bound to all; the socket's own if unspecified.
    from: Ipv4Addr,
}

impl Sender {
    fn new(socket: Rc<UdpSocket>) -> Self {
        Self {
            socket,
            bytes: Vec::new(),
            queued: Vec::with_capacity(BATCH),
            refused: 0,
        }
    }

    /// Adds a datagram that `write` appends to the buffer.
    pub(crate) fn queue(&mut self, to: impl Into<SocketAddr>, write: impl FnOnce(&mut Vec<u8>)) {
        self.queue_from(Ipv4Addr::UNSPECIFIED, to, write);
    }

    /// As [`Self::queue`], from an address of this host's choice.
    pub(crate) fn queue_from(
        &mut self,
        from: Ipv4Addr,
        to: impl Into<SocketAddr>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        write(&mut self.bytes);
        self.queued.push(Queued {
            end: self.bytes.len(),
            to: to.into(),
            from,
        });
        if self.queued.len() == BATCH {
            self.flush();
        }
    }

    /// Sends what was queued.
    pub(crate) fn flush(&mut self) {
        let mut addresses: Vec<RawAddress> = self
            .queued
            .iter()
            .map(|queued| RawAddress::from(queued.to))
            .collect();
        let mut controls: Vec<PacketInfo> = self
            .queued
            .iter()
            .map(|queued| PacketInfo::from(queued.from))
            .collect();
        let mut start = 0;
        let mut parts: Vec<libc::iovec> = Vec::with_capacity(self.queued.len());
        for &Queued { end, .. } in &self.queued {
            let part = &mut self.bytes[start..end];
            parts.push(libc::iovec {
                iov_base: part.as_mut_ptr().cast(),
                iov_len: part.len(),
            });
            start = end;
        }
        let mut headers: Vec<libc::mmsghdr> = addresses
            .iter_mut()
            .zip(&mut parts)
            .map(|(address, part)| header(address, part))
            .collect();
        for ((header, control), queued) in headers.iter_mut().zip(&mut controls).zip(&self.queued) {
            header.msg_hdr.msg_namelen = RawAddress::size(queued.to);
            if !queued.from.is_unspecified() {
                header.msg_hdr.msg_control = std::ptr::from_mut(control).cast();
                header.msg_hdr.msg_controllen = mem::size_of::<PacketInfo>();
            }
        }
        let mut sent = 0;
        while sent < headers.len() {
            let rest = &mut headers[sent..];
            // SAFETY: each header points to an address, a part and perhaps a control message that
            // live until the end of this function, and the count is that of the slice.
            let count = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as u32,
                    0,
                )
            };
            match usize::try_from(count) {
                Ok(count) => sent += count,
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.refused += 1;
                    sent += 1;
                }
            }
        }
        self.bytes.clear();
        self.queued.clear();
    }
}

/// The control message that names the source address of a datagram: `IP_PKTINFO` of ip(7).
#[repr(C)]
struct PacketInfo {
    header: libc::cmsghdr,
    info: libc::in_pktinfo,
}

impl PacketInfo {
    fn from(address: Ipv4Addr) -> Self {
        let nowhere = libc::in_addr { s_addr: 0 };
        Self {
            header: libc::cmsghdr {
                cmsg_len: mem::size_of::<libc::cmsghdr>() + mem::size_of::<libc::in_pktinfo>(),
                cmsg_level: libc::IPPROTO_IP,
                cmsg_type: libc::IP_PKTINFO,
            },
            info: libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from(address).to_be(),
                },
                ipi_addr: nowhere,
            },
        }
    }
}

/// Receives up to [`BATCH`] datagrams at once.
pub(crate) struct Receiver {
    socket: Rc<UdpSocket>,
    buffers: Vec<[u8; DATAGRAM_BYTES]>,
    /// Those of an IPv6 socket are of no interest.
    addresses: Vec<RawAddress>,
    sizes: Vec<usize>,
}

impl Receiver {
    fn new(socket: Rc<UdpSocket>) -> Self {
        let nowhere = RawAddress::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Self {
            socket,
            buffers: vec![[0; DATAGRAM_BYTES]; BATCH],
            addresses: vec![nowhere; BATCH],
            sizes: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what has come, without waiting; gives the number of datagrams.
    pub(crate) fn receive(&mut self) -> usize {
        let mut parts: Vec<libc::iovec> = self
            .buffers
            .iter_mut()
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: DATAGRAM_BYTES,
            })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = self
            .addresses
            .iter_mut()
            .zip(&mut parts)
            .map(|(address, part)| header(address, part))
            .collect();
        // SAFETY: each header points to an address and a buffer that live through the call,
        // and the count is that of the array.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        self.sizes.clear();
        self.sizes.extend(
            headers[..count]
                .iter()
                .map(|header| header.msg_len as usize),
        );
        count
    }

    /// One of the datagrams received last.
    pub(crate) fn datagram(&self, at: usize) -> &[u8] {
        &self.buffers[at][..self.sizes[at]]
    }

    /// Where it came from, on a socket of IPv4.
    pub(crate) fn source(&self, at: usize) -> SocketAddrV4 {
        // SAFETY: all variants are plain integers, and the kernel has filled in this one.
        let address = unsafe { &self.addresses[at].v4 };
        SocketAddrV4::new(
            Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
            u16::from_be(address.sin_port),
        )
    }
}

fn header(address: &mut RawAddress, part: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all zeros is a valid value of this plain C structure.
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
    header.msg_hdr.msg_namelen = mem::size_of::<RawAddress>() as u32;
    header.msg_hdr.msg_iov = part;
    header.msg_hdr.msg_iovlen = 1;
    header
}

/// An address as the kernel has it.
#[derive(Clone, Copy)]
#[repr(C)]
union RawAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddress {
    /// How many bytes of it count.
    fn size(address: SocketAddr) -> u32 {
        let size = match address {
            SocketAddr::V4(_) => mem::size_of::<libc::sockaddr_in>(),
            SocketAddr::V6(_) => mem::size_of::<libc::sockaddr_in6>(),
        };
        size as u32
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self {
                v4: libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from(*address.ip()).to_be(),
                    },
                    sin_zero: [0; 8],
                },
            },
            SocketAddr::V6(address) => Self {
                v6: libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: address.ip().octets(),
                    },
                    sin6_scope_id: 0,
                },
            },
        }
    }
}

const BATCH: usize = 64;
const DATAGRAM_BYTES: usize = 2_048;
const BUFFER_BYTES: usize = 8 << 20;
