//! Attaching the program to an interface.

use std::fmt;

use aya::Ebpf;
use aya::maps::HashMap;
use aya::programs::{Program, SchedClassifier, TcAttachType, Xdp, XdpMode, tc};

use super::Unavailable;
use crate::config::KernelPath;
use crate::sys::interfaces;

/// Where the program gets packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Xdp,
    Tc,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xdp => "XDP",
            Self::Tc => "tc",
        })
    }
}

/// Attaches the program; says by which hook.
///
/// By itself, XDP is chosen only where there is hardware: the driver of a virtual device takes
/// the program but may transmit nothing, for what it needs of the device's other end (veth: a
/// program or GRO) cannot be seen from here.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    interface: &str,
    wanted: KernelPath,
) -> Result<Hook, Unavailable> {
    match wanted {
        KernelPath::Xdp => attach_xdp(ebpf, interface),
        KernelPath::Auto if interfaces::is_physical(interface) => match attach_xdp(ebpf, interface)
        {
            Ok(hook) => Ok(hook),
            Err(Unavailable(reason)) => {
                tracing::info!("no XDP on {interface}: {reason}");
                attach_tc(ebpf, interface)
            }
        },
        KernelPath::Tc | KernelPath::Auto | KernelPath::Off => attach_tc(ebpf, interface),
    }
}

/// In the driver; the generic mode of XDP would gain nothing over tc.
fn attach_xdp(ebpf: &mut Ebpf, interface: &str) -> Result<Hook, Unavailable> {
    let index = interfaces::index(interface).map_err(Unavailable::new)?;
    let program: &mut Xdp = program(ebpf, "relay_xdp")?;
    program.load().map_err(Unavailable::of_kernel)?;
    program
        .attach_to_if_index(index, XdpMode::Driver)
        .map_err(Unavailable::of_kernel)?;
    let attached = ebpf.map_mut("attached").ok_or_else(super::no_map)?;
    let mut attached: HashMap<_, u32, u32> =
        HashMap::try_from(attached).map_err(Unavailable::new)?;
    attached
        .insert(index, 1, 0)
        .map_err(Unavailable::of_kernel)?;
    Ok(Hook::Xdp)
}

fn attach_tc(ebpf: &mut Ebpf, interface: &str) -> Result<Hook, Unavailable> {
    // Where the kernel is too old to end the attachment with the process (before 6.6), one that
    // was left behind is taken away. There is nothing to take away, or no such hook, otherwise.
    let _ = tc::qdisc_detach_program(interface, TcAttachType::Ingress, "relay_tc");
    let program: &mut SchedClassifier = program(ebpf, "relay_tc")?;
    program.load().map_err(Unavailable::of_kernel)?;
    if program.attach(interface, TcAttachType::Ingress).is_ok() {
        return Ok(Hook::Tc);
    }
    // The older way needs a queueing discipline to attach to; it may be there already.
    let _ = tc::qdisc_add_clsact(interface);
    program
        .attach(interface, TcAttachType::Ingress)
        .map_err(Unavailable::of_kernel)?;
    Ok(Hook::Tc)
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, Unavailable>
where
    &'a mut P: TryFrom<&'a mut Program>,
{
    let program = ebpf.program_mut(name).and_then(|p| p.try_into().ok());
    program.ok_or_else(|| Unavailable::new(format_args!("the object lacks {name}")))
}
