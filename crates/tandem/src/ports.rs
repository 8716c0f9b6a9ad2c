//! Addresses and ports that a platform listens on, as flags of `up` and `doctor`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use clap::Args;

/// Addresses and ports that a platform listens on.
#[derive(Args, Clone, Debug)]
pub(crate) struct PortFlags {
    /// The local address; 0.0.0.0 for all of IPv4, :: for all
    #[arg(long, default_value = "0.0.0.0")]
    pub(crate) bind: IpAddr,
    /// The address that peers are told, where another one leads here (NAT)
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) advertise: Option<IpAddr>,
    /// SIP over UDP and TCP
    #[arg(long, default_value_t = 5060, value_name = "PORT")]
    pub(crate) sip_port: u16,
    /// SIP over TLS
    #[arg(long, default_value_t = 5061, value_name = "PORT")]
    pub(crate) tls_port: u16,
    /// SIP over WebSocket
    #[arg(long, default_value_t = 5062, value_name = "PORT")]
    pub(crate) ws_port: u16,
    /// SIP over WebSocket with TLS
    #[arg(long, default_value_t = 5063, value_name = "PORT")]
    pub(crate) wss_port: u16,
    /// The API over plain HTTP; off: over TLS alone
    #[arg(long, default_value_t = HttpPort::On(8080), value_name = "PORT|off")]
    pub(crate) http_port: HttpPort,
    /// The API over TLS, with the certificate of SIP; not served without a port
    #[arg(long, value_name = "PORT")]
    pub(crate) https_port: Option<u16>,
    /// RTP and RTCP
    #[arg(long, default_value = "20000-29999", value_name = "FIRST-LAST", value_parser = range)]
    pub(crate) rtp_ports: (u16, u16),
}

/// Where the API is served over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpPort {
    /// On this port.
    On(u16),
    /// Nowhere.
    Off,
}

impl HttpPort {
    /// The port, if there is one.
    pub(crate) const fn port(self) -> Option<u16> {
        match self {
            Self::On(port) => Some(port),
            Self::Off => None,
        }
    }
}

impl fmt::Display for HttpPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(port) => port.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

impl FromStr for HttpPort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let port = text.parse().map_err(|_| "a port or off is accepted")?;
        Ok(Self::On(port))
    }
}

pub(crate) fn range(text: &str) -> Result<(u16, u16), String> {
    let wanted = || "two ports are wanted, the first not above the last, as 20000-29999".to_owned();
    let (first, last) = text.split_once('-').ok_or_else(wanted)?;
    let parse = |port: &str| {
        port.trim()
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(wanted)
    };
    let (first, last) = (parse(first)?, parse(last)?);
    if first < last {
        Ok((first, last))
    } else {
        Err(wanted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_has_a_port_or_is_off() {
        assert_eq!("8080".parse(), Ok(HttpPort::On(8080)));
        assert_eq!("off".parse(), Ok(HttpPort::Off));
        assert!("none".parse::<HttpPort>().is_err());
        assert!("70000".parse::<HttpPort>().is_err());
    }

    #[test]
    fn a_range_has_two_ports_in_order() {
        assert_eq!(range("20000-29999"), Ok((20_000, 29_999)));
        for wrong in ["20000", "3-2", "0-5", "a-b", "1-70000"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
