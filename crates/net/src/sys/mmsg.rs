//! recvmmsg(2) and sendmmsg(2): many datagrams per system call.
//!
//! The headers that the kernel reads and writes are built on the stack for each call and point
//! only into memory borrowed for that call, so that no raw pointer is ever stored.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use bytes::Bytes;
use os::socket_address;
use socket2::SockAddr;

/// Room for [`BATCH`] datagrams of any length, and what the last receive put there.
#[derive(Debug)]
pub(crate) struct RecvBatch {
    /// One slot of [`SLOT_STRIDE`] bytes per datagram.
    storage: Vec<u8>,
    /// The slots filled by the last receive, in order of arrival.
    received: Vec<Slot>,
}

/// What one slot holds.
#[derive(Clone, Copy, Debug)]
struct Slot {
    len: usize,
    remote: Option<SocketAddr>,
    truncated: bool,
}

/// One datagram received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    /// Who sent it; `None` if the kernel named no IP address.
    pub(crate) remote: Option<SocketAddr>,
    /// Its payload.
    pub(crate) bytes: &'a [u8],
    /// Whether part of it was cut off.
    pub(crate) truncated: bool,
}

/// What one receive brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecvSummary {
    /// Datagrams received.
    pub(crate) count: usize,
    /// Datagrams the kernel has dropped on this socket since it was opened, if it said so.
    pub(crate) kernel_drops: Option<u32>,
}

impl RecvBatch {
    /// An empty batch. The pages of its storage are touched only as datagrams need them.
    pub(crate) fn new() -> Self {
        Self {
            storage: vec![0; BATCH * SLOT_STRIDE],
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Receives what is waiting, up to [`BATCH`] datagrams, without blocking. Nothing waiting is
    /// a count of 0. What the batch held before is gone.
    pub(crate) fn receive(&mut self, socket: &impl AsFd) -> io::Result<RecvSummary> {
        self.received.clear();
        // SAFETY: all-zero bytes are a valid sockaddr_storage, iovec and mmsghdr.
        let mut names: [libc::sockaddr_storage; BATCH] = unsafe { mem::zeroed() };
        let mut controls = [Control([0; CONTROL_BYTES]); BATCH];
        // SAFETY: as above.
        let mut vectors: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for (i, slot) in self.storage.chunks_exact_mut(SLOT_STRIDE).enumerate() {
            vectors[i].iov_base = slot.as_mut_ptr().cast();
            vectors[i].iov_len = MAX_DATAGRAM_BYTES;
            let header = &mut headers[i].msg_hdr;
            header.msg_name = (&raw mut names[i]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut vectors[i];
            header.msg_iovlen = 1;
            header.msg_control = controls[i].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        // SAFETY: each of the BATCH headers points to a name, one vector, a control buffer and a
        // slot of at least iov_len bytes, all borrowed until after the call and none shared.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {
                    Ok(RecvSummary::default())
                }
                _ => Err(error),
            };
        }
        let count = count as usize;
        for (header, name) in headers.iter().zip(&names).take(count) {
            self.received.push(Slot {
                len: (header.msg_len as usize).min(MAX_DATAGRAM_BYTES),
                remote: socket_address(name),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        let kernel_drops = headers[..count].last().and_then(|h| drops_of(&h.msg_hdr));
        Ok(RecvSummary {
            count,
            kernel_drops,
        })
    }

    /// The datagrams of the last receive.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.storage
            .chunks_exact(SLOT_STRIDE)
            .zip(&self.received)
            .map(|(storage, slot)| Received {
                remote: slot.remote,
                bytes: &storage[..slot.len],
                truncated: slot.truncated,
            })
    }
}

/// One datagram to send.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    /// Where to.
    pub(crate) remote: SocketAddr,
    /// The payload.
    pub(crate) bytes: Bytes,
    /// Names the sender's interest in a failure; 0 for none.
    pub(crate) key: u64,
}

/// Sends the first of `datagrams`, at most [`BATCH`], without blocking.
///
/// Returns how many the kernel took, at least one. An error concerns the first datagram alone.
pub(crate) fn send(socket: &impl AsFd, datagrams: &[Datagram]) -> io::Result<usize> {
    let count = datagrams.len().min(BATCH);
    let mut names: [MaybeUninit<SockAddr>; BATCH] = [const { MaybeUninit::uninit() }; BATCH];
    // SAFETY: all-zero bytes are a valid iovec and mmsghdr.
    let mut vectors: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    for (i, datagram) in datagrams.iter().take(count).enumerate() {
        // A SockAddr owns nothing on the heap, so leaving it undropped leaks nothing.
        let name = names[i].write(SockAddr::from(datagram.remote));
        vectors[i].iov_base = datagram.bytes.as_ptr().cast_mut().cast();
        vectors[i].iov_len = datagram.bytes.len();
        let header = &mut headers[i].msg_hdr;
        header.msg_namelen = name.len();
        header.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_iov = &raw mut vectors[i];
        header.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers point to an initialised name, one vector and a payload,
    // all borrowed until after the call; the kernel only reads through the pointers.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_fd().as_raw_fd(),
            headers.as_mut_ptr(),
            count as u32,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(sent as usize)
}

fn drops_of(header: &libc::msghdr) -> Option<u32> {
    // SAFETY: the header's control buffer is alive and holds msg_controllen bytes written by the
    // kernel, which is what CMSG_FIRSTHDR asks; a non-null result points inside it.
    let first = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() }?;
    if first.cmsg_level != libc::SOL_SOCKET || first.cmsg_type != libc::SO_RXQ_OVFL {
        return None;
    }
    // SAFETY: a control message of this type carries a u32, perhaps unaligned.
    Some(unsafe { libc::CMSG_DATA(first).cast::<u32>().read_unaligned() })
}

/// A control buffer aligned as the kernel's cmsghdr needs it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Datagrams per system call.
pub(crate) const BATCH: usize = 64;
/// The longest UDP payload there can be, and one more.
const MAX_DATAGRAM_BYTES: usize = 65_536;
/// Distance of two slots: an odd number of cache lines beyond the maximum, lest the heads of all
/// messages compete for the same cache sets.
const SLOT_STRIDE: usize = MAX_DATAGRAM_BYTES + 17 * 64;
/// Room for one control message with a u32.
const CONTROL_BYTES: usize = 32;
