//! The network interfaces of this host: getifaddrs(3), if_nametoindex(3), ethtool's ioctl.
//!
//! Not from sysfs, which in a network namespace may show the interfaces of another.

use std::ffi::{CStr, CString};
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

/// The name of the interface that has an address of this host.
pub(crate) fn owner(address: IpAddr) -> io::Result<Option<String>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `list` is a place for the result, which is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = None;
    let mut next = list;
    // SAFETY: each pointer is that of a list made by getifaddrs, which is not freed before the
    // loop ends.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        if address_of(entry) == Some(address) {
            // SAFETY: getifaddrs names each entry by a string that lives as long as the list.
            let name = unsafe { CStr::from_ptr(entry.ifa_name) };
            found = name.to_str().ok().map(str::to_owned);
            break;
        }
    }
    // SAFETY: made by getifaddrs above, freed once; nothing borrowed from it is left.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// The number of an interface.
pub(crate) fn index(interface: &str) -> io::Result<u32> {
    let name = CString::new(interface)?;
    // SAFETY: a string that ends with 0 and lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// Whether an interface is a device of a bus: hardware, or what a hypervisor makes look like it.
pub(crate) fn is_physical(interface: &str) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else {
        return false;
    };
    let mut information = DriverInformation {
        command: ETHTOOL_GDRVINFO,
        names: [0; 96],
        bus: [0; 32],
        rest: [0; 64],
    };
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(15)) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut information).cast();
    // SAFETY: the request names a structure of the size that the command fills, and both live
    // through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    result == 0 && information.bus[0] != 0
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInformation {
    command: u32,
    /// Of the driver, its version, and the firmware's.
    names: [u8; 96],
    bus: [u8; 32],
    rest: [u8; 64],
}

fn address_of(entry: &libc::ifaddrs) -> Option<IpAddr> {
    // SAFETY: null, or an address that lives as long as the list.
    let address = unsafe { entry.ifa_addr.as_ref() }?;
    match i32::from(address.sa_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in.
            let v4 = unsafe {
                ptr::from_ref(address)
                    .cast::<libc::sockaddr_in>()
                    .read_unaligned()
            };
            Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6.
            let v6 = unsafe {
                ptr::from_ref(address)
                    .cast::<libc::sockaddr_in6>()
                    .read_unaligned()
            };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

const ETHTOOL_GDRVINFO: u32 = 3;
const _: () = assert!(mem::size_of::<DriverInformation>() == 196);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_its_address_and_nobody_has_a_documentation_one() {
        let owner = |ip: &str| owner(ip.parse().expect("an address")).expect("a list");
        assert_eq!(owner("127.0.0.1").as_deref(), Some("lo"));
        assert_eq!(owner("192.0.2.1"), None);
    }
}
