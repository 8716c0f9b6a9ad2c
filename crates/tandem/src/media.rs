//! `tandem media`: runs a media server alone until it is told to stop.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use node::{HepTarget, HepTransport, MediaOptions, Ready, RtpInterface};

use crate::failure::Failure;
use crate::global::Global;
use crate::log::{self, LogFormat};
use crate::ports;
use crate::recording_flags::RecordingFlags;
use crate::up::{self, Kernel};

/// What a media server runs with.
#[derive(Args, Debug)]
pub(crate) struct MediaFlags {
    /// Where requests come over UDP; may be given again
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2223")]
    ng_udp: Vec<SocketAddr>,
    /// Where requests come over TCP; may be given again
    #[arg(long, value_name = "ADDRESS:PORT")]
    ng_tcp: Vec<SocketAddr>,
    /// Where requests come over HTTP and WebSocket, with /health and /metrics; may be given again
    #[arg(long, value_name = "ADDRESS:PORT")]
    ng_http: Vec<SocketAddr>,
    /// Who may ask: networks or addresses, separated by commas; without it this machine alone
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    allow: Vec<IpNet>,
    /// An address for media, as [NAME/]ADDRESS[!ADVERTISED]; may be given again. One without a
    /// name is used where a request names none
    #[arg(long, value_name = "INTERFACE", required = true, value_parser = interface)]
    rtp: Vec<RtpInterface>,
    /// RTP and RTCP
    #[arg(long, default_value = "30000-39999", value_name = "FIRST-LAST", value_parser = ports::range)]
    rtp_ports: (u16, u16),
    /// Whether plain RTP is relayed in the kernel, where that is possible
    #[arg(long, value_enum, default_value_t = Kernel::Auto)]
    kernel: Kernel,
    /// Threads that handle media
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    workers: usize,
    /// Where this server is; switches prefer servers of their zone
    #[arg(long, default_value = "")]
    zone: String,
    /// Another name or address this server is known by; may be given again
    #[arg(long)]
    alias: Vec<String>,
    /// Sessions taken at most; 0: as many as the ports carry
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    sessions: usize,
    /// How long a deleted call lives on, if the request does not say, in seconds
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    delete_delay: u32,
    /// After how long without a packet of either side a call is given up, in seconds; 0: never
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    media_timeout: u32,
    #[command(flatten)]
    recording: RecordingFlags,
    /// A HEP collector (Homer) that is told of the RTCP of calls
    #[arg(long, value_name = "HOST:PORT")]
    hep_collector: Option<String>,
    /// Over what the collector is told
    #[arg(long, value_enum, default_value_t = HepOver::Udp)]
    hep_transport: HepOver,
    /// The number by which the collector tells this server from others
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    hep_node_id: u32,
    /// How long calls may go on after SIGTERM, in seconds; the server stops when the last has ended
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    drain: u32,
    /// Prints one line of JSON with every address when the server is ready
    #[arg(long)]
    json: bool,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogFormat::Logfmt)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,media=debug
    #[arg(long, env = "TANDEM_LOG", default_value = "info")]
    log_level: String,
}

/// Over what a collector is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HepOver {
    Udp,
    Tcp,
}

impl From<HepOver> for HepTransport {
    fn from(over: HepOver) -> Self {
        match over {
            HepOver::Udp => Self::Udp,
            HepOver::Tcp => Self::Tcp,
        }
    }
}

/// Runs the media server; returns when it has stopped.
pub(crate) fn run(global: &Global, flags: &MediaFlags) -> Result<(), Failure> {
    log::start(flags.log_format, &flags.log_level)?;
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let options = MediaOptions {
        data: global.data.clone(),
        udp: flags.ng_udp.clone(),
        tcp: flags.ng_tcp.clone(),
        http: flags.ng_http.clone(),
        allowed: flags.allow.clone(),
        interfaces: flags.rtp.clone(),
        rtp_ports: flags.rtp_ports,
        kernel: flags.kernel.into(),
        workers: flags.workers,
        zone: flags.zone.clone(),
        aliases: flags.alias.clone(),
        sessions_max: flags.sessions,
        delete_delay: seconds(flags.delete_delay),
        media_timeout: seconds(flags.media_timeout),
        recordings: flags.recording.recordings.clone(),
        recording_format: flags.recording.recording_format.into(),
        recording_store: flags.recording.store()?,
        recording_keys: flags.recording.recording_keys.clone(),
        recording_authorities: flags.recording.authorities()?,
        hep: flags.hep_collector.clone().map(|collector| HepTarget {
            collector,
            transport: flags.hep_transport.into(),
            node_id: flags.hep_node_id,
        }),
        drain: seconds(flags.drain),
        ready: if flags.json {
            Ready::Said
        } else {
            Ready::Unsaid
        },
    };
    up::end(node::media(options))
}

/// A network, or an address that stands for a network of itself.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address);
    network.ok_or_else(|| "a network is wanted, as 10.0.0.0/8, or an address".to_owned())
}

fn interface(text: &str) -> Result<RtpInterface, String> {
    let wanted = || "[NAME/]ADDRESS[!ADVERTISED] is wanted, as pub/10.0.0.5!203.0.113.5".to_owned();
    let (name, addresses) = match text.split_once('/') {
        Some((name, addresses)) if !name.is_empty() => (Some(name.to_owned()), addresses),
        Some(_) => return Err(wanted()),
        None => (None, text),
    };
    let (bind, advertised) = addresses.split_once('!').unwrap_or((addresses, addresses));
    let address = |text: &str| text.parse::<IpAddr>().map_err(|_| wanted());
    let (bind, advertised) = (address(bind)?, address(advertised)?);
    if bind.is_ipv4() != advertised.is_ipv4() {
        return Err("both addresses must be of one family".to_owned());
    }
    Ok(RtpInterface {
        name,
        bind,
        advertised,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_a_name_and_an_advertised_address_if_it_wants() {
        let read = |text| interface(text).expect("an interface");
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(read("10.0.0.5").name, None);
        assert_eq!(read("10.0.0.5").advertised, address("10.0.0.5"));
        let public = read("pub/10.0.0.5!203.0.113.5");
        assert_eq!(public.name.as_deref(), Some("pub"));
        assert_eq!(public.advertised, address("203.0.113.5"));
        assert_eq!(read("in/2001:db8::1").bind, address("2001:db8::1"));
        for wrong in ["", "/10.0.0.5", "pub/", "10.0.0.5!::1", "eth0"] {
            assert!(interface(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_a_network_of_itself() {
        assert_eq!(
            network("10.0.0.5").map(|net| net.to_string()),
            Ok("10.0.0.5/32".into())
        );
        assert!(network("10.0.0.0/8").is_ok());
        assert!(network("nobody").is_err());
    }
}
