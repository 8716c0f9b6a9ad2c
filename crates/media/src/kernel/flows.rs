//! The flows of one worker.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::sync::Arc;

use aya::maps::{HashMap, MapData, MapError};

use crate::formats::{Format, Formats};
use crate::sys::bpf::{Flow, Key, Key6, SlotReading, Slots, Way};

/// Makes and ends the flows of one worker, and gives out the slots they count in.
#[derive(Debug)]
pub(crate) struct Flows {
    maps: Maps,
    slots: Arc<Slots>,
    /// Given back, and never given out yet.
    returned: Vec<SlotId>,
    fresh: Range<u32>,
    local: Local,
}

/// The program's maps of flows.
#[derive(Debug)]
pub(super) struct Maps {
    pub(super) v4: HashMap<MapData, Key, Flow>,
    pub(super) v6: HashMap<MapData, Key6, Flow>,
}

/// Our media addresses on the interface that the program is attached to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Local {
    pub(super) v4: Option<Ipv4Addr>,
    pub(super) v6: Option<Ipv6Addr>,
}

/// Whose packets a flow is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FlowKey {
    V4(Key),
    V6(Key6),
}

/// One direction of a channel, as user space would relay it.
#[derive(Clone, Debug)]
pub(crate) struct Direction {
    /// Our address that the sender sends to, and the sender's.
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// Our address that faces the receiver, and the receiver's.
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// What may be sent.
    pub(crate) formats: Arc<Formats>,
    /// The payload type that is sent most.
    pub(crate) payload_type: u8,
}

/// A slot that is in use.
#[derive(Clone, Debug)]
pub(crate) struct SlotId {
    slots: Arc<Slots>,
    index: u32,
}

impl Flows {
    pub(super) fn new(maps: Maps, slots: Arc<Slots>, fresh: Range<u32>, local: Local) -> Self {
        Self {
            maps,
            slots,
            returned: Vec::new(),
            fresh,
            local,
        }
    }

    /// An empty slot; `None` if all are in use.
    pub(crate) fn take_slot(&mut self) -> Option<SlotId> {
        let slot = self.returned.pop().or_else(|| {
            self.fresh.next().map(|index| SlotId {
                slots: Arc::clone(&self.slots),
                index,
            })
        })?;
        self.slots.clear(slot.index);
        Some(slot)
    }

    /// Takes back a slot that no flow uses any more.
    pub(crate) fn return_slot(&mut self, slot: SlotId) {
        self.returned.push(slot);
    }

    /// The flow of a direction, counted in `slots`: its own and that of the other direction.
    /// `None` if the program cannot relay it.
    pub(crate) fn plan(
        &self,
        direction: &Direction,
        slots: [&SlotId; 2],
    ) -> Option<(FlowKey, Flow)> {
        let mut flow = Flow {
            slot: slots[0].index,
            opposite_slot: slots[1].index,
            ..Flow::default()
        };
        self.aim(direction, &mut flow)?;
        allow(&mut flow, direction);
        Some((self.key(direction)?, flow))
    }

    /// What packets of a direction are known by.
    fn key(&self, direction: &Direction) -> Option<FlowKey> {
        Some(match direction.peer {
            SocketAddr::V4(peer) => {
                let local = self.local.resolve_v4(direction.local)?;
                FlowKey::V4(Key {
                    local_ip: local.ip().octets(),
                    peer_ip: peer.ip().octets(),
                    local_port: local.port().to_be_bytes(),
                    peer_port: peer.port().to_be_bytes(),
                })
            }
            // An address of the link says nothing without the interface.
            SocketAddr::V6(peer) if peer.ip().is_unicast_link_local() => return None,
            SocketAddr::V6(peer) => {
                let local = self.local.resolve_v6(direction.local)?;
                FlowKey::V6(Key6 {
                    local_ip: local.ip().octets(),
                    peer_ip: peer.ip().octets(),
                    local_port: local.port().to_be_bytes(),
                    peer_port: peer.port().to_be_bytes(),
                })
            }
        })
    }

    /// Says where they go. What stays on this host never comes by the interface.
    fn aim(&self, direction: &Direction, flow: &mut Flow) -> Option<()> {
        let source_port = match direction.destination {
            SocketAddr::V4(to) => {
                let stays = Some(*to.ip()) == self.local.v4 || to.ip().is_loopback();
                let source = self.local.resolve_v4(direction.source).filter(|_| !stays)?;
                flow.source_ip[..4].copy_from_slice(&source.ip().octets());
                flow.destination_ip[..4].copy_from_slice(&to.ip().octets());
                flow.way = Way::v4();
                source.port()
            }
            SocketAddr::V6(to) => {
                let stays = Some(*to.ip()) == self.local.v6 || to.ip().is_loopback();
                let leaves = !stays && !to.ip().is_unicast_link_local();
                let source = self.local.resolve_v6(direction.source).filter(|_| leaves)?;
                flow.source_ip = source.ip().octets();
                flow.destination_ip = to.ip().octets();
                flow.way = Way::v6();
                source.port()
            }
        };
        flow.source_port = source_port.to_be_bytes();
        flow.destination_port = direction.destination.port().to_be_bytes();
        Some(())
    }

    /// Lets the kernel relay from now on.
    pub(crate) fn insert(&mut self, key: &FlowKey, flow: Flow) -> Result<(), MapError> {
        match key {
            FlowKey::V4(key) => self.maps.v4.insert(key, flow, 0),
            FlowKey::V6(key) => self.maps.v6.insert(key, flow, 0),
        }
    }

    /// Takes a flow back; packets that come from now on go to the socket.
    pub(crate) fn remove(&mut self, key: &FlowKey) {
        let removed = match key {
            FlowKey::V4(key) => self.maps.v4.remove(key),
            FlowKey::V6(key) => self.maps.v6.remove(key),
        };
        if let Err(error) = removed {
            tracing::warn!(%error, "a media flow cannot be taken back from the kernel");
        }
    }
}

impl Local {
    /// The address in packets of a socket that may be bound to all; `None` if the program does
    /// not see them.
    fn resolve_v4(&self, address: SocketAddr) -> Option<SocketAddrV4> {
        match (address, self.v4?) {
            (SocketAddr::V4(v4), local) if v4.ip().is_unspecified() || *v4.ip() == local => {
                Some(SocketAddrV4::new(local, v4.port()))
            }
            _ => None,
        }
    }

    fn resolve_v6(&self, address: SocketAddr) -> Option<SocketAddrV6> {
        match (address, self.v6?) {
            (SocketAddr::V6(v6), local) if v6.ip().is_unspecified() || *v6.ip() == local => {
                Some(SocketAddrV6::new(local, v6.port(), 0, 0))
            }
            _ => None,
        }
    }
}

impl SlotId {
    /// What was counted so far.
    pub(crate) fn read(&self) -> SlotReading {
        self.slots.read(self.index)
    }

    /// Says where counting goes on, before a flow uses it.
    pub(crate) fn seed(&self, from: SlotReading) {
        self.slots.seed(self.index, from);
    }
}

/// Fills in what may be sent.
fn allow(flow: &mut Flow, direction: &Direction) {
    let formats = &direction.formats;
    let clock_rate_hz = match formats.of(direction.payload_type) {
        Format::Media { clock_rate_hz } => clock_rate_hz,
        Format::Event | Format::Unknown => 0,
    };
    flow.clock = ((u64::from(clock_rate_hz) << 30) / 1_000_000_000) as u32;
    for payload_type in 0..128_u8 {
        let (half, bit) = (usize::from(payload_type / 64), 1 << (payload_type % 64));
        match formats.of(payload_type) {
            Format::Unknown => continue,
            Format::Event => flow.events[half] |= bit,
            Format::Media {
                clock_rate_hz: other,
            } => {
                if clock_rate_hz > 0 && clock_rate_hz == other {
                    flow.timed[half] |= bit;
                }
            }
        }
        flow.relayed[half] |= bit;
    }
}
