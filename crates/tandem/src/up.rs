//! `tandem up`: runs a platform on this machine until it is told to stop.

use std::fmt::Display;
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::global::Global;
use crate::log::{self, LogFormat};
use crate::ports::{HttpPort, PortFlags};

/// What the platform runs with.
#[derive(Args, Debug)]
pub(crate) struct UpFlags {
    #[command(flatten)]
    ports: PortFlags,
    /// The PostgreSQL database for records and CDRs, such as postgres://user:password@host/database;
    /// by default they are in a file of the data directory
    #[arg(long, value_name = "URL", env = "TANDEM_STORE", hide_env_values = true)]
    store: Option<String>,
    /// The Redis or Valkey by which this node is one of a cluster: limits, registrations and calls are
    /// kept together with the others there, such as redis://user:password@host:6379; by default they
    /// are this node's own
    #[arg(long, value_name = "URL", env = "TANDEM_LIVE", hide_env_values = true)]
    live: Option<String>,
    /// Who knows of the registrations at this node: all nodes that share --live, so that each
    /// reaches all phones, or this node alone
    #[arg(long, value_enum, default_value_t = Registrations::Shared)]
    registrations: Registrations,
    /// Shares registrations with servers that are no cluster and have the same cluster.key: where they
    /// listen to this one; without it no other server reaches the phones of this one
    #[arg(long, value_name = "PORT", env = "TANDEM_ARRAY_PORT")]
    array_port: Option<u16>,
    /// Another server of the array, whose registrations are to be known here; once for each
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "TANDEM_ARRAY_PEERS",
        value_delimiter = ',',
        requires = "array_port"
    )]
    array_peer: Vec<String>,
    /// An address for SIP besides, which keepalived moves between the machines of a cluster;
    /// `tandem keepalived` writes its configuration. With it, --bind is to name an address, too
    #[arg(long, value_name = "ADDRESS")]
    virtual_address: Option<IpAddr>,
    /// The address at which the other nodes that share --live reach this one; by default that of
    /// --bind, or the one that the routing table picks
    #[arg(long, value_name = "ADDRESS", env = "TANDEM_CLUSTER_ADDRESS")]
    cluster_address: Option<std::net::IpAddr>,
    /// The SIP domain of a new platform; a running one keeps its own (`tandem settings set`)
    #[arg(long)]
    domain: Option<String>,
    /// The port at which machines join this platform and its nodes are connected, over mutual TLS;
    /// without one none can join
    #[arg(long, value_name = "PORT", env = "TANDEM_NODE_PORT")]
    node_port: Option<u16>,
    /// Whether plain RTP is relayed in the kernel, where that is possible
    #[arg(long, value_enum, default_value_t = Kernel::Auto)]
    kernel: Kernel,
    /// What browsers and others that speak ICE find here
    #[arg(long, value_enum, default_value_t = Ice::Lite)]
    ice: Ice,
    /// Prints one line of JSON with every address, user and token when the platform is ready
    #[arg(long)]
    json: bool,
    /// How the log on standard error is written
    #[arg(long, value_enum, default_value_t = LogFormat::Logfmt)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,call=debug
    #[arg(long, env = "TANDEM_LOG", default_value = "info")]
    log_level: String,
}

/// Who knows of registrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registrations {
    /// All nodes of the cluster
    Shared,
    /// This node: calls for users who are registered elsewhere are answered with 480
    Local,
}

impl From<Registrations> for node::Registrations {
    fn from(registrations: Registrations) -> Self {
        match registrations {
            Registrations::Shared => Self::Shared,
            Registrations::Local => Self::Local,
        }
    }
}

/// Who relays plain RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    /// The kernel where it can, by the better of the two ways, never on loopback
    Auto,
    /// The program alone
    Off,
    /// The kernel, by XDP in the network card's driver
    Xdp,
    /// The kernel, at the ingress of tc
    Tc,
}

impl From<Kernel> for node::KernelPath {
    fn from(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Auto => Self::Auto,
            Kernel::Off => Self::Off,
            Kernel::Xdp => Self::Xdp,
            Kernel::Tc => Self::Tc,
        }
    }
}

/// What an ICE agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ice {
    /// Answers the peer's checks
    Lite,
    /// Checks the peer's addresses, too, and stops sending to one that does not answer
    Full,
}

impl From<Ice> for node::IceAgent {
    fn from(ice: Ice) -> Self {
        match ice {
            Ice::Lite => Self::Lite,
            Ice::Full => Self::Full,
        }
    }
}

/// Runs the platform; returns when it has stopped.
pub(crate) fn run(global: &Global, flags: &UpFlags) -> Result<(), Failure> {
    log::start(flags.log_format, &flags.log_level)?;
    let ports = &flags.ports;
    if ports.http_port == HttpPort::Off && ports.https_port.is_none() {
        return Err(Failure::Usage(
            "without plain HTTP the API is served over TLS alone: give it a port with --https-port"
                .into(),
        ));
    }
    if flags.virtual_address.is_some() && ports.bind.is_unspecified() {
        return Err(Failure::Usage(
            "beside a virtual address, --bind must name one of this machine's own".into(),
        ));
    }
    let is_shared = flags.live.is_some() && flags.registrations == Registrations::Shared;
    if flags.array_port.is_some() && is_shared {
        return Err(Failure::Usage(
            "the nodes of a cluster share their registrations by --live; an array is for servers outside"
                .into(),
        ));
    }
    let options = node::UpOptions {
        data: global.data.clone(),
        store: flags.store.clone(),
        live: flags.live.clone(),
        registrations: flags.registrations.into(),
        array: flags.array_port.map(|port| node::ArrayFlags {
            port,
            peers: flags.array_peer.clone(),
        }),
        bind: ports.bind,
        advertise: ports.advertise,
        virtual_address: flags.virtual_address,
        cluster_address: flags.cluster_address,
        sip_port: ports.sip_port,
        tls_port: ports.tls_port,
        ws_port: ports.ws_port,
        wss_port: ports.wss_port,
        http_port: ports.http_port.port(),
        https_port: ports.https_port,
        node_port: flags.node_port,
        rtp_ports: ports.rtp_ports,
        kernel: flags.kernel.into(),
        ice_agent: flags.ice.into(),
        domain: flags.domain.clone(),
        json: flags.json,
    };
    let site = Arc::new(panel::Panel);
    end(node::up(&options, site))
}

/// What is to be done when a node has ended; returns if it was told to stop.
pub(crate) fn end(ended: Result<node::Ended, impl Display>) -> Result<(), Failure> {
    match ended.map_err(|error| Failure::Failed(format!("{error:#}")))? {
        node::Ended::Stopped => Ok(()),
        node::Ended::ToBeginAnew => Err(begin_anew()),
    }
}

/// Becomes the program that is at its place now, a newer one perhaps, in the same process: whoever
/// watches over that sees no end. Returns why it could not.
fn begin_anew() -> Failure {
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot begin anew: {error}"));
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return failed(error),
    };
    // What the kernel says of a program that was replaced.
    let name = program.to_string_lossy();
    let program = name.strip_suffix(" (deleted)").unwrap_or(&name);
    let arguments = std::env::args_os().skip(1);
    failed(Command::new(program).args(arguments).exec())
}
