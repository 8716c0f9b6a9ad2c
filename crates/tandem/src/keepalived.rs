//! `tandem keepalived`: the configuration of keepalived for an address that moves between nodes.

use std::fmt::Write as _;
use std::net::IpAddr;

use clap::Args;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// The address, and the machines between which it moves.
#[derive(Args, Debug)]
pub(crate) struct KeepalivedFlags {
    /// The address that moves, with the length of its network: what phones and carriers are told
    #[arg(long, value_name = "ADDRESS/LENGTH")]
    virtual_address: String,
    /// The network interface that gets it
    #[arg(long, default_value = "eth0")]
    interface: String,
    /// This machine's own address on that network
    #[arg(long)]
    address: IpAddr,
    /// Another machine's own address; once for each
    #[arg(long = "peer", value_name = "ADDRESS", required = true)]
    peers: Vec<IpAddr>,
    /// Whoever takes calls and has the highest gets the address, when nobody has it
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=254))]
    priority: u8,
    /// The same on all machines, and different from that of other virtual addresses on the network
    #[arg(long, default_value_t = 51, value_parser = clap::value_parser!(u8).range(1..=255))]
    router_id: u8,
}

/// Prints it.
pub(crate) fn run(global: &Global, flags: &KeepalivedFlags) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(error.to_string());
    let program = std::env::current_exe().map_err(failed)?;
    let data = std::path::absolute(&global.data).map_err(failed)?;
    let parts = flags.virtual_address.split_once('/');
    let parts = parts.and_then(|(ip, bits)| Some((ip.parse().ok()?, bits.parse().ok()?)));
    let Some((ip, bits)) = parts else {
        return Err(wanted());
    };
    let ip: IpAddr = ip;
    let bits: u8 = bits;
    if bits == 0 || bits > if ip.is_ipv4() { 32 } else { 128 } {
        return Err(wanted());
    }
    let same = |other: &IpAddr| other.is_ipv4() == ip.is_ipv4() && *other != ip;
    if !same(&flags.address) || !flags.peers.iter().all(same) {
        return Err(Failure::Usage(
            "the machines' own addresses are of the virtual one's family, and not the virtual one"
                .into(),
        ));
    }
    if flags.peers.contains(&flags.address) {
        return Err(Failure::Usage(
            "--peer is for the other machines, --address for this one".into(),
        ));
    }
    let check = format!("{} --data {} check", program.display(), data.display());
    output::print(&configuration(flags, &check))
}

fn wanted() -> Failure {
    Failure::Usage("--virtual-address wants an address and a length, as 10.0.0.100/24".into())
}

/// The file. Who loses its peers keeps the address, and who does not take calls gives it up before
/// anybody else takes it (RFC 9568 §6.4).
fn configuration(flags: &KeepalivedFlags, check: &str) -> String {
    let KeepalivedFlags {
        virtual_address,
        interface,
        address,
        priority,
        router_id,
        ..
    } = flags;
    let mut peers = String::new();
    for peer in &flags.peers {
        // Writing to a String cannot fail.
        let _ = writeln!(peers, "        {peer}");
    }
    format!(
        "# Made by `tandem keepalived`: {virtual_address} is on one of {count} machines.
global_defs {{
    script_user root
    vrrp_garp_master_refresh 30
}}

# Whether the node takes calls. One that hangs does not answer.
vrrp_script tandem {{
    script \"{check}\"
    interval 1
    timeout 1
    fall 2
    rise 2
    init_fail
}}

vrrp_instance tandem {{
    state BACKUP
    # A machine that comes back does not take the address from one that serves well.
    nopreempt
    interface {interface}
    virtual_router_id {router_id}
    priority {priority}
    version 3
    advert_int 0.3
    unicast_src_ip {address}
    unicast_peer {{
{peers}    }}
    virtual_ipaddress {{
        {virtual_address} dev {interface}
    }}
    track_script {{
        tandem
    }}
}}
",
        count = flags.peers.len() + 1,
    )
}
