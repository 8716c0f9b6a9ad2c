//! recvmmsg(2) and sendmmsg(2): several datagrams per system call, and one where there is but one.
//!
//! The headers that the kernel reads and writes are built on the stack for each call and point
//! only into memory borrowed for that call, so that no raw pointer is ever stored. Only as many
//! as asked for are built: at telephone rates a socket rarely holds more than one packet. For that
//! one, calls without headers cost the kernel less, and rustix makes them without the C library,
//! whose own are points of cancellation and touch the thread's state before and after.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use os::{LongDatagrams, is_too_long, set_long_datagrams, socket_address};
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockAddr;

/// Room for [`BATCH`] packets, and what the last receive put there.
#[derive(Debug)]
pub(crate) struct RecvBatch {
    /// One slot of [`SLOT_BYTES`] bytes per packet, each [`STRIDE_BYTES`] after the last.
    storage: Box<[u8]>,
    /// The slots filled by the last receive, in order of arrival.
    received: Vec<Slot>,
}

/// What one slot holds.
#[derive(Clone, Copy, Debug)]
struct Slot {
    len: usize,
    from: Option<SocketAddr>,
    oversized: bool,
}

/// One packet received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    /// Who sent it; `None` if the kernel named no IP address.
    pub(crate) from: Option<SocketAddr>,
    /// Its payload.
    pub(crate) bytes: &'a [u8],
    /// Whether its end did not fit into a slot.
    pub(crate) oversized: bool,
}

impl RecvBatch {
    /// An empty batch.
    pub(crate) fn new() -> Self {
        Self {
            storage: vec![0; BATCH * STRIDE_BYTES].into_boxed_slice(),
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Receives what is waiting, up to `limit` packets and [`BATCH`], without blocking; how many
    /// came. What the batch held before is gone.
    pub(crate) fn receive(&mut self, socket: &impl AsFd, limit: usize) -> io::Result<usize> {
        let limit = limit.min(BATCH);
        self.clear();
        if limit == 1 {
            return self.receive_one(socket);
        }
        let mut names: [MaybeUninit<libc::sockaddr_storage>; BATCH] =
            [const { MaybeUninit::uninit() }; BATCH];
        let mut vectors: [MaybeUninit<libc::iovec>; BATCH] =
            [const { MaybeUninit::uninit() }; BATCH];
        let mut headers: [MaybeUninit<libc::mmsghdr>; BATCH] =
            [const { MaybeUninit::uninit() }; BATCH];
        for (i, slot) in self
            .storage
            .chunks_exact_mut(STRIDE_BYTES)
            .take(limit)
            .enumerate()
        {
            // SAFETY: all-zero bytes are a valid sockaddr_storage.
            let name = names[i].write(unsafe { mem::zeroed() });
            let slot = &mut slot[..SLOT_BYTES];
            let vector = vectors[i].write(libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: slot.len(),
            });
            // SAFETY: all-zero bytes are a valid mmsghdr.
            let header = headers[i].write(unsafe { mem::zeroed() });
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the first `limit` headers are initialised, and each points to a name, to one
        // vector and through it to a slot of iov_len bytes, all alive until after the call and
        // none shared.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr().cast(),
                limit as u32,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            return none_if_idle(io::Error::last_os_error());
        }
        let count = (count as usize).min(limit);
        for (header, name) in headers.iter().zip(&names).take(count) {
            // SAFETY: both were initialised above, as `count` is at most `limit`.
            let (header, name) = unsafe { (header.assume_init_ref(), name.assume_init_ref()) };
            self.received.push(Slot {
                len: (header.msg_len as usize).min(SLOT_BYTES),
                from: socket_address(name),
                oversized: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(count)
    }

    /// Forgets what it holds.
    pub(crate) fn clear(&mut self) {
        self.received.clear();
    }

    /// Receives one packet beside those that it holds, without blocking, if there is one and room
    /// for it; how many came. The usual case at telephone rates, without headers for the kernel to
    /// copy.
    pub(crate) fn receive_one(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let mut slots = self.storage.chunks_exact_mut(STRIDE_BYTES);
        let Some(slot) = slots.nth(self.received.len()) else {
            return Ok(0);
        };
        let slot = &mut slot[..SLOT_BYTES];
        // With TRUNC the kernel tells the length that the packet had.
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let (_, len, from) = match rustix::net::recvfrom(socket, slot, flags) {
            Ok(received) => received,
            Err(errno) => return none_if_idle(errno.into()),
        };
        self.received.push(Slot {
            len: len.min(SLOT_BYTES),
            from: from.and_then(|from| SocketAddr::try_from(from).ok()),
            oversized: len > SLOT_BYTES,
        });
        Ok(1)
    }

    /// The packets of the last receive.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.storage
            .chunks_exact(STRIDE_BYTES)
            .zip(&self.received)
            .map(|(storage, slot)| Received {
                from: slot.from,
                bytes: &storage[..slot.len],
                oversized: slot.oversized,
            })
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = ReceivedMut<'_>> {
        self.storage
            .chunks_exact_mut(STRIDE_BYTES)
            .zip(&self.received)
            .map(|(storage, slot)| ReceivedMut {
                from: slot.from,
                bytes: &mut storage[..slot.len],
                oversized: slot.oversized,
            })
    }
}

/// One packet received, to be changed where it lies.
#[derive(Debug)]
pub(crate) struct ReceivedMut<'a> {
    /// Who sent it; `None` if the kernel named no IP address.
    pub(crate) from: Option<SocketAddr>,
    /// Its payload.
    pub(crate) bytes: &'a mut [u8],
    /// Whether its end did not fit into a slot.
    pub(crate) oversized: bool,
}

/// Sends `packets`, at most [`BATCH`] of them, to one address without blocking; how many the
/// kernel took. A socket makes fragments from the first packet on that needs them.
pub(crate) fn send(socket: &impl AsFd, to: &SockAddr, packets: &[&[u8]]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < packets.len() {
        match send_whole(socket, to, &packets[sent..]) {
            Ok(count) => sent += count,
            Err(error) if is_too_long(&error) => {
                set_long_datagrams(socket, LongDatagrams::Fragmented)?;
                sent += send_whole(socket, to, &packets[sent..])?;
            }
            Err(error) if sent == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(sent)
}

fn send_whole(socket: &impl AsFd, to: &SockAddr, packets: &[&[u8]]) -> io::Result<usize> {
    if let [packet] = packets {
        // The usual case at telephone rates, with fewer headers for the kernel to copy.
        let to = to.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::sendto(socket, packet, flags, &to)?;
        return Ok(1);
    }
    let count = packets.len().min(BATCH);
    let mut vectors: [MaybeUninit<libc::iovec>; BATCH] = [const { MaybeUninit::uninit() }; BATCH];
    let mut headers: [MaybeUninit<libc::mmsghdr>; BATCH] = [const { MaybeUninit::uninit() }; BATCH];
    for (i, packet) in packets.iter().take(count).enumerate() {
        let vector = vectors[i].write(libc::iovec {
            iov_base: packet.as_ptr().cast_mut().cast(),
            iov_len: packet.len(),
        });
        // SAFETY: all-zero bytes are a valid mmsghdr.
        let header = headers[i].write(unsafe { mem::zeroed() });
        header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = to.len();
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers are initialised, and each points to the address, to one
    // vector and through it to a packet, all alive until after the call; the kernel only reads
    // through these pointers.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_fd().as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count as u32,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(sent as usize)
}

fn none_if_idle(error: io::Error) -> io::Result<usize> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
        _ => Err(error),
    }
}

/// Packets per system call.
pub(crate) const BATCH: usize = 32;
/// From one slot to the next: an odd number of cache lines, lest the beginnings of all packets fall
/// into a few sets of the cache.
const STRIDE_BYTES: usize = SLOT_BYTES + 5 * 64;
/// The longest packet relayed, in bytes: more than an Ethernet frame holds. Longer ones are
/// dropped as oversized.
pub(crate) const SLOT_BYTES: usize = 2_048;
