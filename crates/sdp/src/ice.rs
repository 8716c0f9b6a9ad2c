//! ICE in descriptions: credentials and candidates (RFC 8839 §5).

use std::net::SocketAddr;

use crate::line::{number, words};

/// What one agent is named by and proves itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IceCredentials<'a> {
    /// The user name fragment.
    pub ufrag: &'a [u8],
    /// The password.
    pub password: &'a [u8],
}

/// One address that an agent may be reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 1 for RTP, 2 for RTCP.
    pub component: u16,
    /// The higher the better.
    pub priority: u32,
    /// The address.
    pub address: SocketAddr,
}

impl Candidate {
    /// Reads `foundation component UDP priority address port typ ...`. `None` for another
    /// transport, and for an address that is a name, as browsers write to hide theirs.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let mut words = words(value);
        words.next()?;
        let component = number(words.next()?)?;
        let transport = words.next()?;
        let priority = number(words.next()?)?;
        let ip = str::from_utf8(words.next()?).ok()?.parse().ok()?;
        let port = number(words.next()?)?;
        let usable = transport.eq_ignore_ascii_case(b"udp") && port != 0;
        usable.then_some(Self {
            component,
            priority,
            address: SocketAddr::new(ip, port),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_candidates_that_can_be_sent_to() {
        let host = b"1467250027 1 udp 2122260223 192.0.2.7 46243 typ host generation 0";
        let host = Candidate::parse(host).expect("a candidate");
        assert_eq!(host.address, "192.0.2.7:46243".parse().expect("an address"));
        assert_eq!((host.component, host.priority), (1, 2_122_260_223));
        for other in [
            "1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
            "1 1 udp 1 0f4ca2d9.local 5000 typ host",
            "1 1 udp 1 192.0.2.7 0 typ host",
            "1 1 udp",
        ] {
            assert_eq!(Candidate::parse(other.as_bytes()), None, "{other}");
        }
    }
}
