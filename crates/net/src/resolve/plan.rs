//! What to ask the name servers, and in which order: RFC 3263 §4.1 and §4.2 without the asking.

use std::net::{IpAddr, SocketAddr};

use sip::{Target, Transport};

use super::ResolveError;
use crate::drive::{ResolveQuery, Security};

/// How a URI's targets are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The host is an address.
    Known(Target),
    /// The URI has a port, or a transport without SRV: look up addresses.
    Addresses {
        host: Box<str>,
        transport: Transport,
        port: u16,
    },
    /// The URI has a transport: look up SRV, then addresses if there is none.
    Service {
        host: Box<str>,
        transport: Transport,
    },
    /// The URI has neither: look up NAPTR; if there is none, SRV by each of [`Plan::services`];
    /// if there is none, addresses.
    Anything { host: Box<str>, security: Security },
}

impl Plan {
    /// The plan for a question.
    pub(crate) fn of(query: &ResolveQuery) -> Result<Self, ResolveError> {
        let transport = query
            .transport
            .map(|transport| allowed(transport, query.security))
            .transpose()?;
        let chosen = transport.unwrap_or(match query.security {
            Security::Any => Transport::Udp,
            Security::Sips => Transport::Tls,
        });
        if let Some(ip) = address(&query.host) {
            let port = query.port.unwrap_or(chosen.default_port());
            return Ok(Self::Known(Target {
                transport: chosen,
                remote: SocketAddr::new(ip, port),
            }));
        }
        let host = host_name(&query.host)?;
        Ok(match (query.port, transport) {
            (Some(port), _) => Self::Addresses {
                host,
                transport: chosen,
                port,
            },
            (None, Some(transport)) if service_label(transport).is_some() => {
                Self::Service { host, transport }
            }
            (None, Some(transport)) => Self::Addresses {
                host,
                transport,
                port: transport.default_port(),
            },
            (None, None) => Self::Anything {
                host,
                security: query.security,
            },
        })
    }

    /// The transports to try by SRV without NAPTR, in our order of preference (RFC 3263 §4.1).
    pub(crate) const fn services(security: Security) -> &'static [Transport] {
        match security {
            Security::Any => &[Transport::Udp, Transport::Tcp, Transport::Tls],
            Security::Sips => &[Transport::Tls],
        }
    }
}

/// A NAPTR record, as far as SIP uses it (RFC 3263 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naptr {
    pub(crate) order: u16,
    pub(crate) preference: u16,
    pub(crate) flags: Box<[u8]>,
    pub(crate) services: Box<[u8]>,
    /// The name to look up SRV for.
    pub(crate) replacement: String,
}

/// The NAPTR records that lead to SRV of a transport we may use, best first.
pub(crate) fn usable_naptr(
    mut records: Vec<Naptr>,
    security: Security,
) -> Vec<(Transport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    records
        .into_iter()
        .filter(|record| record.flags.eq_ignore_ascii_case(b"s"))
        .filter_map(|record| {
            let services = record.services.to_ascii_uppercase();
            let transport = match services.as_slice() {
                b"SIPS+D2T" => Transport::Tls,
                b"SIP+D2T" => Transport::Tcp,
                b"SIP+D2U" => Transport::Udp,
                b"SIPS+D2W" => Transport::Wss,
                b"SIP+D2W" => Transport::Ws,
                _ => return None,
            };
            let is_allowed = security == Security::Any || transport.is_secure();
            is_allowed.then_some((transport, record.replacement))
        })
        .collect()
}

/// The first labels of the name whose SRV records serve a transport (RFC 3263 §4.1).
pub(crate) const fn service_label(transport: Transport) -> Option<&'static str> {
    match transport {
        Transport::Udp => Some("_sip._udp"),
        Transport::Tcp => Some("_sip._tcp"),
        Transport::Tls => Some("_sips._tcp"),
        // None is registered for WebSocket: clients are given a URL.
        Transport::Ws | Transport::Wss => None,
    }
}

/// The transport to use, since `sips` with `transport=tcp` means TLS (RFC 3261 §26.2.2).
fn allowed(transport: Transport, security: Security) -> Result<Transport, ResolveError> {
    match (security, transport) {
        (Security::Any, transport) => Ok(transport),
        (Security::Sips, Transport::Tcp | Transport::Tls) => Ok(Transport::Tls),
        (Security::Sips, Transport::Ws | Transport::Wss) => Ok(Transport::Wss),
        (Security::Sips, Transport::Udp) => Err(ResolveError::NotSecure),
    }
}

/// An address, IPv6 with or without brackets.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

/// A name that can be asked for, with its final dot.
fn host_name(host: &str) -> Result<Box<str>, ResolveError> {
    let bare = host.strip_suffix('.').unwrap_or(host);
    let fits = bare.len() <= NAME_MAX
        && bare.split('.').all(|label| {
            (1..=LABEL_MAX).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
    if !fits {
        return Err(ResolveError::Malformed);
    }
    Ok(format!("{bare}.").into())
}

/// The longest domain name without its final dot, and its longest label (RFC 1035 §2.3.4); names
/// with a service label in front that become too long are refused by the name server.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(
        host: &str,
        port: Option<u16>,
        transport: Option<Transport>,
        security: Security,
    ) -> Result<Plan, ResolveError> {
        Plan::of(&ResolveQuery {
            host: host.into(),
            port,
            transport,
            security,
        })
    }

    fn known(transport: Transport, remote: &str) -> Result<Plan, ResolveError> {
        Ok(Plan::Known(Target {
            transport,
            remote: remote.parse().unwrap(),
        }))
    }

    #[test]
    fn addresses_need_no_name_server() {
        use Security::{Any, Sips};
        use Transport::{Tcp, Tls, Udp};
        assert_eq!(
            query("192.0.2.1", None, None, Any),
            known(Udp, "192.0.2.1:5060")
        );
        assert_eq!(
            query("192.0.2.1", None, None, Sips),
            known(Tls, "192.0.2.1:5061")
        );
        assert_eq!(
            query("192.0.2.1", Some(7), Some(Tcp), Any),
            known(Tcp, "192.0.2.1:7")
        );
        assert_eq!(
            query("[2001:db8::1]", None, Some(Tls), Any),
            known(Tls, "[2001:db8::1]:5061")
        );
        assert_eq!(
            query("2001:db8::1", Some(9), None, Any),
            known(Udp, "[2001:db8::1]:9")
        );
    }

    #[test]
    fn port_and_transport_decide_what_is_asked() {
        let host: Box<str> = "a.example.".into();
        assert_eq!(
            query("a.example", Some(5080), None, Security::Any),
            Ok(Plan::Addresses {
                host: host.clone(),
                transport: Transport::Udp,
                port: 5080
            })
        );
        assert_eq!(
            query("a.example.", None, Some(Transport::Tcp), Security::Any),
            Ok(Plan::Service {
                host: host.clone(),
                transport: Transport::Tcp
            })
        );
        assert_eq!(
            query("a.example", None, Some(Transport::Ws), Security::Sips),
            Ok(Plan::Addresses {
                host: host.clone(),
                transport: Transport::Wss,
                port: 443
            })
        );
        assert_eq!(
            query("a.example", None, None, Security::Any),
            Ok(Plan::Anything {
                host,
                security: Security::Any
            })
        );
    }

    #[test]
    fn sips_never_falls_back_to_plain_transports() {
        let sips = |transport| query("a.example", None, Some(transport), Security::Sips);
        assert_eq!(sips(Transport::Udp), Err(ResolveError::NotSecure));
        assert!(matches!(
            sips(Transport::Tcp),
            Ok(Plan::Service {
                transport: Transport::Tls,
                ..
            })
        ));
        assert_eq!(Plan::services(Security::Sips), [Transport::Tls]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for host in [
            "",
            ".",
            "a..b",
            "a b",
            "a/b",
            &"x".repeat(64),
            &"x.".repeat(128),
        ] {
            let plan = query(host, None, None, Security::Any);
            assert_eq!(plan, Err(ResolveError::Malformed), "{host:?}");
        }
    }

    #[test]
    fn naptr_records_are_sorted_and_sifted() {
        let record = |order, preference, flags: &str, services: &str| Naptr {
            order,
            preference,
            flags: flags.as_bytes().into(),
            services: services.as_bytes().into(),
            replacement: format!("{services}."),
        };
        let records = vec![
            record(20, 1, "s", "SIP+D2U"),
            record(10, 2, "S", "sip+d2t"),
            record(10, 1, "s", "SIPS+D2T"),
            record(1, 1, "u", "E2U+sip"),
            record(1, 1, "s", "SIP+D2S"),
        ];
        let usable = |security| -> Vec<Transport> {
            let usable = usable_naptr(records.clone(), security);
            usable.into_iter().map(|(transport, _)| transport).collect()
        };
        use Transport::{Tcp, Tls, Udp};
        assert_eq!(usable(Security::Any), [Tls, Tcp, Udp]);
        assert_eq!(usable(Security::Sips), [Tls]);
    }
}
