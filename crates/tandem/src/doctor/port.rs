//! Whether the ports are free, and who has them if not.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use super::Finding;
use crate::ports::{HttpPort, PortFlags};

/// Tries every port, and some of the RTP range.
pub(super) fn check(ports: &PortFlags, data: &Path) -> Vec<Finding> {
    let running = data.join("admin.json").exists();
    let mut findings = vec![
        one(Protocol::Udp, ports.bind, ports.sip_port, "SIP", running),
        one(Protocol::Tcp, ports.bind, ports.sip_port, "SIP", running),
        one(
            Protocol::Tcp,
            ports.bind,
            ports.tls_port,
            "SIP over TLS",
            running,
        ),
        one(
            Protocol::Tcp,
            ports.bind,
            ports.ws_port,
            "SIP over WebSocket",
            running,
        ),
        one(
            Protocol::Tcp,
            ports.bind,
            ports.wss_port,
            "SIP over secure WebSocket",
            running,
        ),
    ];
    let api = |port| one(Protocol::Tcp, ports.bind, port, "the API", running);
    let over_tls = |port| one(Protocol::Tcp, ports.bind, port, "the API over TLS", running);
    findings.extend(ports.http_port.port().map(api));
    findings.extend(ports.https_port.map(over_tls));
    findings.push(api_at(ports));
    findings.push(media(ports));
    findings
}

/// Whether the API is served at all, and how the command line asks it.
fn api_at(ports: &PortFlags) -> Finding {
    match (ports.http_port, ports.https_port) {
        (HttpPort::On(_), _) => {
            Finding::ok("api", "commands on this machine ask it over plain HTTP")
        }
        (HttpPort::Off, Some(_)) => Finding::ok(
            "api",
            "commands on this machine ask it over TLS and believe tls/certificate.pem of the data \
             directory; others name it with --addr https://HOST:PORT, and its authority with --ca",
        ),
        (HttpPort::Off, None) => Finding::fail(
            "api",
            "it is served nowhere: plain HTTP is off and TLS has no port",
            "give it a port with --https-port",
        ),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Udp,
    Tcp,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Tries one port.
pub(super) fn one(
    protocol: Protocol,
    bind: IpAddr,
    port: u16,
    purpose: &str,
    running: bool,
) -> Finding {
    let address = SocketAddr::new(bind, port);
    let tried = match protocol {
        Protocol::Udp => UdpSocket::bind(address).map(drop),
        Protocol::Tcp => TcpListener::bind(address).map(drop),
    };
    let name = format!("{} {port} for {purpose}", protocol.name());
    let Err(error) = tried else {
        return Finding::ok("ports", format!("{name} is free"));
    };
    match error.kind() {
        ErrorKind::AddrInUse => match holder(protocol, port) {
            Some(holder) if running && holder.starts_with("tandem ") => {
                Finding::ok("ports", format!("{name} is held by the running {holder}"))
            }
            Some(holder) if holder.starts_with("tandem ") => Finding::warn(
                "ports",
                format!("{name} is held by another running {holder}"),
                "that one has another data directory; a second one needs ports of its own",
            ),
            Some(holder) => Finding::fail(
                "ports",
                format!("{name} is taken by {holder}"),
                "stop it, or choose another port by its flag",
            ),
            None => Finding::fail(
                "ports",
                format!("{name} is taken by a process that is not ours to see"),
                format!(
                    "`sudo ss -lnp 'sport = :{port}'` names it; stop it, or choose another port by its flag"
                ),
            ),
        },
        ErrorKind::PermissionDenied => Finding::fail(
            "ports",
            format!("{name} is not allowed"),
            "choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE",
        ),
        ErrorKind::AddrNotAvailable => Finding::fail(
            "ports",
            format!("{bind} is no address of this machine"),
            "choose one of its own with --bind",
        ),
        _ => Finding::fail(
            "ports",
            format!("{name} cannot be opened: {error}"),
            "choose another address or port",
        ),
    }
}

/// Ports of the RTP range are opened when calls need them: some are tried, and the range is
/// compared with that of outgoing connections, which would take ports away.
fn media(ports: &PortFlags) -> Finding {
    let (first, last) = ports.rtp_ports;
    let taken: Vec<u16> = (first..=last)
        .step_by(usize::from(last - first) / RTP_SAMPLES + 1)
        .filter(|port| UdpSocket::bind(SocketAddr::new(ports.bind, *port)).is_err())
        .collect();
    let calls = (u32::from(last) - u32::from(first) + 1) / 4;
    if let Some(port) = taken.first() {
        let holder = holder(Protocol::Udp, *port).unwrap_or_else(|| "another process".into());
        return Finding::warn(
            "ports",
            format!("udp {port} of the RTP range is taken by {holder}"),
            "choose another range with --rtp-ports",
        );
    }
    let ephemeral =
        fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = ephemeral
        .split_whitespace()
        .filter_map(|bound| bound.parse::<u16>().ok());
    if let (Some(low), Some(high)) = (bounds.next(), bounds.next())
        && first <= high
        && low <= last
    {
        return Finding::warn(
            "ports",
            format!(
                "the RTP range {first}-{last} overlaps with that of outgoing connections, {low}-{high}"
            ),
            "choose another range with --rtp-ports, or change net.ipv4.ip_local_port_range",
        );
    }
    Finding::ok(
        "ports",
        format!("udp {first}-{last} for RTP is free as far as tried, enough for {calls} calls"),
    )
}

/// Who holds a port, as `name (process 123)`; `None` if /proc does not tell us.
fn holder(protocol: Protocol, port: u16) -> Option<String> {
    let tables = [
        format!("/proc/net/{}", protocol.name()),
        format!("/proc/net/{}6", protocol.name()),
    ];
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| inodes(&table, protocol, port))
        .collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        for file in files.flatten() {
            let Ok(target) = fs::read_link(file.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            if inode.is_some_and(|inode| inodes.iter().any(|wanted| wanted == inode)) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("{} (process {pid})", name.trim()));
            }
        }
    }
    None
}

/// Inodes of the sockets that are bound to a port, from a table of /proc/net, see proc_net(5).
fn inodes(table: &str, protocol: Protocol, port: u16) -> Vec<String> {
    let listens = |state: &str| protocol == Protocol::Udp || state == "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (_, local_port) = columns.get(1)?.rsplit_once(':')?;
            let is_it =
                u16::from_str_radix(local_port, 16).ok()? == port && listens(columns.get(3)?);
            is_it
                .then(|| columns.get(9).map(|inode| (*inode).to_owned()))
                .flatten()
        })
        .collect()
}

/// Ports of the RTP range that are tried.
const RTP_SAMPLES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:13C4 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1
";

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        assert_eq!(inodes(TABLE, Protocol::Tcp, 5060), ["4711"]);
        assert_eq!(inodes(TABLE, Protocol::Tcp, 5061), [""; 0]);
    }

    #[test]
    fn a_port_that_is_taken_is_told_with_its_holder() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let finding = one(Protocol::Udp, address.ip(), address.port(), "SIP", false);
        assert_eq!(finding.level, Level::Fail);
        let us = format!("(process {})", std::process::id());
        assert!(finding.message.contains(&us), "{}", finding.message);
        drop(socket);
        assert_eq!(
            one(Protocol::Udp, address.ip(), address.port(), "SIP", false).level,
            Level::Ok
        );
    }
}
