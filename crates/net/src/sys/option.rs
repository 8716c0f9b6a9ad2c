//! Socket options that no safe wrapper offers.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Asks the kernel to count datagrams it drops for want of buffer space and to report the count
/// with each datagram received (`SO_RXQ_OVFL`, socket(7)).
pub(crate) fn report_receive_drops(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket, libc::SO_RXQ_OVFL, 1)
}

/// Sets the receive buffer beyond `net.core.rmem_max`; needs `CAP_NET_ADMIN`.
pub(crate) fn force_receive_buffer(socket: &impl AsFd, bytes: usize) -> io::Result<()> {
    set_int(socket, libc::SO_RCVBUFFORCE, bytes as i32)
}

/// Sets the send buffer beyond `net.core.wmem_max`; needs `CAP_NET_ADMIN`.
pub(crate) fn force_send_buffer(socket: &impl AsFd, bytes: usize) -> io::Result<()> {
    set_int(socket, libc::SO_SNDBUFFORCE, bytes as i32)
}

fn set_int(socket: &impl AsFd, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open while borrowed; the option value is an i32 that outlives the
    // call, and its size is passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
