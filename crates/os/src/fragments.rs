//! Datagrams that are longer than their path takes.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// What becomes of datagrams that are longer than their path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongDatagrams {
    /// The kernel refuses them with EMSGSIZE.
    Refused,
    /// The kernel makes fragments.
    Fragmented,
}

/// Says what becomes of the long datagrams of an IPv4 socket, see ip(7).
///
/// To a socket that makes fragments the kernel gives each packet an identifier that no other
/// packet to that destination has, whether it is a fragment or not. That takes a look at a table
/// that all processors share: a tenth of what the kernel does for a message.
///
/// # Errors
/// It is no IPv4 socket.
pub fn set_long_datagrams(socket: &impl AsFd, long: LongDatagrams) -> io::Result<()> {
    let value = match long {
        LongDatagrams::Refused => libc::IP_PMTUDISC_DO,
        LongDatagrams::Fragmented => libc::IP_PMTUDISC_WANT,
    };
    // SAFETY: the descriptor is open while borrowed; the option value is an i32 that outlives the
    // call, and its size is passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether a datagram was refused for its length.
#[must_use]
pub fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}
