//! The flows of one worker.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;
use std::sync::Arc;

use aya::maps::{HashMap, MapData, MapError};

use crate::formats::{Format, Formats};
use crate::sys::bpf::{Flow, Key, SlotReading, Slots};

/// Makes and ends the flows of one worker, and gives out the slots they count in.
#[derive(Debug)]
pub(crate) struct Flows {
    map: HashMap<MapData, Key, Flow>,
    slots: Arc<Slots>,
    /// Given back, and never given out yet.
    returned: Vec<SlotId>,
    fresh: Range<u32>,
    local: Ipv4Addr,
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
    pub(super) fn new(
        map: HashMap<MapData, Key, Flow>,
        slots: Arc<Slots>,
        fresh: Range<u32>,
        local: Ipv4Addr,
    ) -> Self {
        Self {
            map,
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
    pub(crate) fn plan(&self, direction: &Direction, slots: [&SlotId; 2]) -> Option<(Key, Flow)> {
        let local = self.resolve(direction.local)?;
        let source = self.resolve(direction.source)?;
        let (SocketAddr::V4(peer), SocketAddr::V4(destination)) =
            (direction.peer, direction.destination)
        else {
            return None;
        };
        // What stays on this host never comes by the interface.
        if *destination.ip() == self.local || destination.ip().is_loopback() {
            return None;
        }
        let key = Key {
            local_ip: local.ip().octets(),
            peer_ip: peer.ip().octets(),
            local_port: local.port().to_be_bytes(),
            peer_port: peer.port().to_be_bytes(),
        };
        let mut flow = Flow {
            source_ip: source.ip().octets(),
            destination_ip: destination.ip().octets(),
            source_port: source.port().to_be_bytes(),
            destination_port: destination.port().to_be_bytes(),
            slot: slots[0].index,
            opposite_slot: slots[1].index,
            ..Flow::default()
        };
        allow(&mut flow, direction);
        Some((key, flow))
    }

    /// Lets the kernel relay from now on.
    pub(crate) fn insert(&mut self, key: Key, flow: Flow) -> Result<(), MapError> {
        self.map.insert(key, flow, 0)
    }

    /// Takes a flow back; packets that come from now on go to the socket.
    pub(crate) fn remove(&mut self, key: &Key) {
        if let Err(error) = self.map.remove(key) {
            tracing::warn!(%error, "a media flow cannot be taken back from the kernel");
        }
    }

    /// The address in packets of a socket that may be bound to all.
    fn resolve(&self, address: SocketAddr) -> Option<SocketAddrV4> {
        match address {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
                Some(SocketAddrV4::new(self.local, v4.port()))
            }
            SocketAddr::V4(v4) if *v4.ip() == self.local => Some(v4),
            SocketAddr::V4(_) | SocketAddr::V6(_) => None,
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
