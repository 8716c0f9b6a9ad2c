//! What `tandem up` is told.

use std::net::IpAddr;
use std::path::PathBuf;

pub use crate::array::ArrayFlags;

/// How to run a platform.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// Where everything is kept.
    pub data: PathBuf,
    /// The PostgreSQL database that records and CDRs are kept in; `None`: in a file of `data`.
    pub store: Option<String>,
    /// The Redis by which the node is one of a cluster; `None`: it is alone.
    pub live: Option<String>,
    /// Who knows of the registrations at this node.
    pub registrations: Registrations,
    /// How the server shares registrations with others that are no cluster; `None`: it does not.
    pub array: Option<ArrayFlags>,
    /// The address to listen on, for SIP, HTTP and media.
    pub bind: IpAddr,
    /// The address that peers are told; `None` finds it out.
    pub advertise: Option<IpAddr>,
    /// An address for SIP besides, which moves between the machines of a cluster.
    pub virtual_address: Option<IpAddr>,
    /// The address that other nodes of the cluster reach this one at; `None` finds it out.
    pub cluster_address: Option<IpAddr>,
    /// SIP over UDP and TCP.
    pub sip_port: u16,
    /// SIP over TLS.
    pub tls_port: u16,
    /// SIP over WebSocket.
    pub ws_port: u16,
    /// SIP over secure WebSocket.
    pub wss_port: u16,
    /// The API over plain HTTP; `None`: over TLS alone.
    pub http_port: Option<u16>,
    /// The API over TLS; `None`: not served.
    pub https_port: Option<u16>,
    /// Where machines join the platform and its nodes have their line to control; `None`: none can
    /// join.
    pub node_port: Option<u16>,
    /// RTP and RTCP, both ends included.
    pub rtp_ports: (u16, u16),
    /// Whether plain RTP is relayed in the kernel.
    pub kernel: media::KernelPath,
    /// What peers that speak ICE find in us.
    pub ice_agent: media::IceAgent,
    /// The domain of addresses of record, for a first start.
    pub domain: Option<String>,
    /// Print one line of JSON when ready, in place of text for people.
    pub json: bool,
}

impl UpOptions {
    /// Whether other nodes know of the registrations at this one.
    pub(crate) fn shares_registrations(&self) -> bool {
        self.live.is_some() && self.registrations == Registrations::Shared
    }
}

/// Who knows of registrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registrations {
    /// All nodes of the cluster, if there is one.
    Shared,
    /// The node where they are.
    Local,
}
