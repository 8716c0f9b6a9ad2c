//! What the kernel path and its program share: the values of its maps, and memory of theirs.
//!
//! The structures mirror those of bpf/relay.c.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Whose packet, and to which port of ours; all in the order of the network.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) local_ip: [u8; 4],
    pub(crate) peer_ip: [u8; 4],
    pub(crate) local_port: [u8; 2],
    pub(crate) peer_port: [u8; 2],
}

/// The same over IPv6.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key6 {
    pub(crate) local_ip: [u8; 16],
    pub(crate) peer_ip: [u8; 16],
    pub(crate) local_port: [u8; 2],
    pub(crate) peer_port: [u8; 2],
}

/// What becomes of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Payload types, a bit each.
    pub(crate) relayed: [u64; 2],
    pub(crate) timed: [u64; 2],
    pub(crate) events: [u64; 2],
    /// Of IPv4 the first four bytes.
    pub(crate) source_ip: [u8; 16],
    pub(crate) destination_ip: [u8; 16],
    pub(crate) source_port: [u8; 2],
    pub(crate) destination_port: [u8; 2],
    pub(crate) slot: u32,
    pub(crate) opposite_slot: u32,
    /// Ticks of the RTP clock in 2^30 ns.
    pub(crate) clock: u32,
    /// The way, whose family is given; the rest the program finds by itself.
    pub(crate) way: Way,
}

/// Zero: not found yet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    found_ns: u64,
    interface: u32,
    mtu: u32,
    to: [u8; 6],
    from: [u8; 6],
    /// Of the addresses that it leads to, which is said: `AF_INET` or `AF_INET6`.
    family: u32,
}

impl Way {
    /// One that is still to be found, over IPv4.
    pub(crate) fn v4() -> Self {
        Self {
            family: libc::AF_INET.cast_unsigned(),
            ..Self::default()
        }
    }

    /// The same over IPv6.
    pub(crate) fn v6() -> Self {
        Self {
            family: libc::AF_INET6.cast_unsigned(),
            ..Self::default()
        }
    }
}

// SAFETY: made of integers alone, without padding: 4 + 4 + 2 + 2 bytes.
unsafe impl aya::Pod for Key {}
// SAFETY: made of integers alone, without padding: 16 + 16 + 2 + 2 bytes.
unsafe impl aya::Pod for Key6 {}
// SAFETY: made of integers alone, without padding: 48 bytes, 48 of them, and a way.
unsafe impl aya::Pod for Flow {}

/// Statistics of one direction, as the program writes them.
#[repr(C)]
#[derive(Debug)]
struct Slot {
    packets: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
    heard_ns: AtomicU64,
    ssrc: AtomicU32,
    highest: AtomicU32,
    transit: AtomicU32,
    has_transit: AtomicU32,
    jitter_q4: AtomicU32,
    payload_type: AtomicU32,
    came_by: AtomicU32,
    /// The addresses that it came from and to, of the program alone.
    came: [AtomicU32; 3],
    timestamp: AtomicU32,
    unused: [AtomicU32; 13],
}

/// What a slot says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotReading {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    pub(crate) ssrc: u32,
    pub(crate) highest: u32,
    /// Of the packet with that number.
    pub(crate) timestamp: u32,
    pub(crate) jitter_q4: u32,
    pub(crate) payload_type: u8,
}

/// All slots: memory shared with the kernel.
#[derive(Debug)]
pub(crate) struct Slots {
    base: NonNull<Slot>,
    count: usize,
}

// SAFETY: the memory belongs to no thread, and all access to it is atomic.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

impl Slots {
    /// Maps the `count` slots of a map made with `BPF_F_MMAPABLE`.
    pub(crate) fn map(map: &impl AsFd, count: usize) -> io::Result<Self> {
        // SAFETY: a new mapping, placed by the kernel; the map is open.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                count * size_of::<Slot>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { base, count })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What a slot says now; while its flow is relayed, figures may be one packet apart.
    pub(crate) fn read(&self, index: u32) -> SlotReading {
        let Some(slot) = self.slot(index) else {
            return SlotReading::default();
        };
        SlotReading {
            packets: slot.packets.load(Relaxed),
            bytes: slot.bytes.load(Relaxed),
            events: slot.events.load(Relaxed),
            ssrc: slot.ssrc.load(Relaxed),
            highest: slot.highest.load(Relaxed),
            timestamp: slot.timestamp.load(Relaxed),
            jitter_q4: slot.jitter_q4.load(Relaxed),
            payload_type: slot.payload_type.load(Relaxed) as u8,
        }
    }

    /// Empties a slot that no flow uses.
    pub(crate) fn clear(&self, index: u32) {
        if let Some(slot) = self.slot(index) {
            for counter in [&slot.packets, &slot.bytes, &slot.events, &slot.heard_ns] {
                counter.store(0, Relaxed);
            }
            slot.came_by.store(0, Relaxed);
            self.seed(index, SlotReading::default());
        }
    }

    /// Says where counting goes on, of a slot whose flow is not relayed now; totals stay.
    pub(crate) fn seed(&self, index: u32, from: SlotReading) {
        if let Some(slot) = self.slot(index) {
            slot.ssrc.store(from.ssrc, Relaxed);
            slot.highest.store(from.highest, Relaxed);
            slot.timestamp.store(from.timestamp, Relaxed);
            slot.jitter_q4.store(from.jitter_q4, Relaxed);
            slot.payload_type.store(from.payload_type.into(), Relaxed);
            slot.has_transit.store(0, Relaxed);
        }
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        // SAFETY: the mapping holds `count` slots as long as this value lives; any bytes are a
        // valid slot.
        (index < self.count).then(|| unsafe { self.base.add(index).as_ref() })
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let bytes = self.count * size_of::<Slot>();
        // SAFETY: the mapping was made with this size, and nobody borrows from it any more. An
        // error would leave it mapped, which harms nobody.
        unsafe { libc::munmap(self.base.as_ptr().cast(), bytes) };
    }
}

const _: () = assert!(size_of::<Key>() == 12 && size_of::<Key6>() == 36);
const _: () = assert!(size_of::<Flow>() == 128);
const _: () = assert!(size_of::<Slot>() == 128);
