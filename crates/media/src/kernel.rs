//! The kernel path: plain RTP is relayed by a program in the kernel that no packet leaves.
//!
//! The program (bpf/relay.c) is compiled when this crate is built, if there is clang. It knows
//! flows, each one direction of a call, and relays only what fits its flow exactly; all else goes
//! to the sockets and is judged there as if there were no program. So it adds speed and no rule,
//! and a host on which it cannot run loses nothing else.

mod attach;
mod flows;

use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use aya::maps::{HashMap, Map, MapData};
use aya::{Ebpf, EbpfLoader};

use crate::config::{EngineConfig, Interface, KernelPath};
use crate::sys::bpf::Slots;
use crate::sys::interfaces;
use attach::Hook;
pub(crate) use flows::{Direction, FlowKey, Flows, SlotId};
use flows::{Local, Maps};

/// A program that runs. Ends with the value.
pub(crate) struct Kernel {
    /// Holds the links: what is attached is detached with it.
    ebpf: Ebpf,
    hook: Hook,
    interface: String,
    local: Local,
    slots: Arc<Slots>,
}

impl Kernel {
    /// Starts the program as configured. Errors: it is off, or cannot run, which is logged.
    pub(crate) fn start(config: &EngineConfig) -> Result<Self, Unavailable> {
        if config.kernel == KernelPath::Off {
            return Err(Unavailable::new("it is switched off"));
        }
        let started = Self::try_start(config);
        match &started {
            Ok(kernel) => tracing::info!("plain RTP is relayed in the kernel: {}", kernel.place()),
            Err(Unavailable(reason)) => tracing::info!("RTP is relayed in user space: {reason}"),
        }
        started
    }

    /// Where it runs, as `tc on eth0`.
    pub(crate) fn place(&self) -> String {
        format!("{} on {}", self.hook, self.interface)
    }

    fn try_start(config: &EngineConfig) -> Result<Self, Unavailable> {
        let object = OBJECT.ok_or_else(|| Unavailable::new("built without clang"))?;
        let (interface, local) = local(config)?;
        let mut ebpf = EbpfLoader::new()
            .load(object)
            .map_err(Unavailable::of_kernel)?;
        let slots = ebpf.map("slots").ok_or_else(no_map)?;
        let Map::Array(data) = slots else {
            return Err(no_map());
        };
        let slots = Slots::map(&data.fd().as_fd(), SLOTS).map_err(Unavailable::new)?;
        let hook = attach::attach(&mut ebpf, &interface, config.kernel)?;
        Ok(Self {
            ebpf,
            hook,
            interface,
            local,
            slots: Arc::new(slots),
        })
    }

    /// The flows that one of `workers` workers may make.
    pub(crate) fn flows(&self, worker: usize, workers: usize) -> Option<Flows> {
        let flows = self.try_flows(worker, workers);
        let log = |error: &Unavailable| tracing::error!(%error, "a worker lacks the kernel path");
        flows.inspect_err(log).ok()
    }

    fn try_flows(&self, worker: usize, workers: usize) -> Result<Flows, Unavailable> {
        let maps = Maps {
            v4: HashMap::try_from(self.map_of_flows("flows")?).map_err(Unavailable::new)?,
            v6: HashMap::try_from(self.map_of_flows("flows6")?).map_err(Unavailable::new)?,
        };
        let share = self.slots.count() / workers;
        let first = worker * share;
        let own = first as u32..(first + share) as u32;
        Ok(Flows::new(maps, Arc::clone(&self.slots), own, self.local))
    }

    /// One more way to a map of the program.
    fn map_of_flows(&self, name: &str) -> Result<Map, Unavailable> {
        let Some(Map::HashMap(data)) = self.ebpf.map(name) else {
            return Err(no_map());
        };
        let fd = data.fd().as_fd().try_clone_to_owned();
        let fd = fd.map_err(Unavailable::new)?;
        let map = MapData::from_fd(fd).map_err(Unavailable::new)?;
        Ok(Map::HashMap(map))
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("hook", &self.hook)
            .field("interface", &self.interface)
            .finish_non_exhaustive()
    }
}

/// Why there is no kernel path, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(String);

impl Unavailable {
    fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    /// With the cause that the kernel gave, which the library says one level down.
    fn of_kernel(error: impl std::error::Error) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        // The log of the verifier follows in further lines.
        let reason = reason.lines().next().unwrap_or_default();
        Self(format!("the kernel refuses the program: {reason}"))
    }
}

fn no_map() -> Unavailable {
    Unavailable::new("the compiled program lacks a map")
}

/// The interface that packets come to, and our media addresses on it: that of IPv4, and of IPv6
/// if it is there too.
fn local(config: &EngineConfig) -> Result<(String, Local), Unavailable> {
    let interfaces = [config.v4, config.v6].into_iter().flatten();
    let addresses: Vec<IpAddr> = interfaces.map(address_of).collect();
    let owner = |address: &IpAddr| interfaces::owner(*address).ok().flatten();
    let mut owned = addresses.iter().filter_map(|a| Some((owner(a)?, *a)));
    let (interface, first) = owned.next().ok_or_else(|| {
        let names: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let names = names.join(" or ");
        Unavailable::new(format_args!("no interface of this host has {names}"))
    })?;
    if first.is_loopback() && config.kernel == KernelPath::Auto {
        return Err(Unavailable::new(format_args!(
            "{first} is for this host alone"
        )));
    }
    let mut local = Local::default();
    for address in addresses {
        if owner(&address).as_ref() != Some(&interface) {
            tracing::info!("media of {address} is relayed in user space: it is not on {interface}");
            continue;
        }
        match address {
            IpAddr::V4(v4) => local.v4 = Some(v4),
            IpAddr::V6(v6) => local.v6 = Some(v6),
        }
    }
    Ok((interface, local))
}

/// What packets for us are sent to.
fn address_of(interface: Interface) -> IpAddr {
    match interface.bind.is_unspecified() {
        true => interface.advertised,
        false => interface.bind,
    }
}

/// The compiled program.
#[cfg(kernel_path)]
const OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(
    env!("OUT_DIR"),
    "/relay.o"
)));
#[cfg(not(kernel_path))]
const OBJECT: Option<&[u8]> = None;
/// Slots of the program's map, one per direction of a call.
const SLOTS: usize = 65_536;
