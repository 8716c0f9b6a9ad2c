//! The error queue of a UDP socket: what routers and hosts said about datagrams sent (ip(7),
//! `IP_RECVERR`).

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use os::socket_address;

/// One report of the error queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Where the datagram was sent to; `None` if the kernel named no IP address.
    pub(crate) remote: Option<SocketAddr>,
    /// What is wrong, as an error number; `None` if it did not come from the network.
    pub(crate) errno: Option<i32>,
}

/// Takes the next report, if any, without blocking.
pub(crate) fn next_report(socket: &impl AsFd) -> io::Result<Option<Report>> {
    // SAFETY: all-zero bytes are a valid sockaddr_storage and msghdr.
    let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: as above.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: the header points to a name and a control buffer of the lengths it says, both alive
    // until after the call, and to no vectors: the payload sent back is dropped.
    let result = unsafe {
        libc::recvmsg(
            socket.as_fd().as_raw_fd(),
            &raw mut header,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    if result < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock => Ok(None),
            _ => Err(error),
        };
    }
    Ok(Some(Report {
        remote: socket_address(&name),
        errno: errno_of(&header),
    }))
}

fn errno_of(header: &libc::msghdr) -> Option<i32> {
    // SAFETY: the control buffer is alive and holds msg_controllen bytes written by the kernel;
    // a non-null result points to a control message inside it.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() };
    while let Some(message) = next {
        let is_error = matches!(
            (message.cmsg_level, message.cmsg_type),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        );
        if is_error {
            // SAFETY: a control message of these types carries a sock_extended_err, perhaps
            // unaligned.
            let error = unsafe {
                libc::CMSG_DATA(message)
                    .cast::<libc::sock_extended_err>()
                    .read_unaligned()
            };
            let from_network = matches!(
                error.ee_origin,
                libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6
            );
            return from_network.then_some(error.ee_errno as i32);
        }
        // SAFETY: `message` is a control message of this header.
        next = unsafe { libc::CMSG_NXTHDR(header, message).as_ref() };
    }
    None
}

/// A control buffer aligned as the kernel's cmsghdr needs it.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Room for an extended error with the offender's address, and for a drop counter.
const CONTROL_BYTES: usize = 128;
