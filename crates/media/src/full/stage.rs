//! What happens to media on the full path between its arrival and its departure.

use std::fmt;
use std::net::SocketAddr;

use audio::Key;

use crate::engine::{MediaEvent, Side};
use crate::sys::mmsg::SLOT_BYTES;
use crate::worker::MediumId;

/// One step of the full path of one medium: a recorder, a transcoder, a player.
///
/// A stage sees each packet that was let in, in the clear, and says what goes on: nothing leaves
/// but what it puts into the outbox. What it forwards passes the stages at later places. It
/// lives on the worker's thread: it must not block, and should not allocate for each packet.
pub(crate) trait Stage: fmt::Debug + Send {
    /// A packet has come.
    fn handle_packet(&mut self, packet: Packet<'_>, now_us: u64, out: &mut Outbox);

    /// The SSRC that it speaks to a side as, if what the side hears is of its making.
    fn source(&self, _to: Side) -> Option<u32> {
        None
    }

    /// A key is to be heard by side `to`. Stages that make no keys leave it.
    fn handle_key(&mut self, _to: Side, _key: Key, _duration_ms: u32, _now_us: u64) {}

    /// The time that [`Stage::poll_timeout`] named has come.
    fn handle_timeout(&mut self, _now_us: u64, _out: &mut Outbox) {}

    /// When [`Stage::handle_timeout`] is to be called, in the time of `now_us`; asked after each
    /// call of the others. The worker is at most a millisecond or two late.
    fn poll_timeout(&self) -> Option<u64> {
        None
    }
}

/// Where a stage stands. A packet passes the stages of its medium in this order, whichever side
/// it comes from; of each there is one at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Sees what came as it came: the recorder of both legs.
    Record,
    /// Takes out what must not go on: blocked DTMF, silenced media.
    Block,
    /// Makes another stream of it: transcoding, repacketising, DTMF; the echo.
    Transcode,
    /// Adds what nobody sent: prompts, tones, music.
    Play,
}

/// A packet in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// Whose it is. It leaves to the other side; in an echo session to the same.
    pub(crate) from: Side,
    pub(crate) part: Part,
    /// Header and all, neither encrypted nor authenticated.
    pub(crate) bytes: &'a [u8],
}

/// What a packet is, by whatever port it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Rtp,
    Rtcp,
}

/// Packets on their way out, and what the switch should know. One of a worker serves all its
/// sessions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    storage: Vec<u8>,
    packets: Vec<Entry>,
    events: Vec<MediaEvent>,
    /// Packets there was no room for.
    overflowed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    leaves: Leaves,
    /// 0 for one that was refused since.
    len: usize,
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// As media, protected where the other side wants it.
    Media {
        /// Whose it is.
        from: Side,
        part: Part,
    },
    /// As media for a side, whatever becomes of what others send.
    To(Side, Part),
    /// The same for what another medium says by the transport that this one carries: whether the
    /// side takes it was asked there.
    Carried(Side, Part),
    /// To another medium, whose transport towards a side we carry: it came from there.
    Inward(MediumId, Side),
    /// By another medium, which carries our transport.
    Outward(MediumId, Outward),
    /// By another medium, to a side of it, as RTCP of somebody who listens there.
    Mirrored(MediumId, Side),
    /// As it is.
    Raw(Raw),
}

/// What a medium sends by the transport of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outward {
    /// The medium that sends.
    pub(crate) by: MediumId,
    pub(crate) to: Side,
    pub(crate) part: Part,
}

/// The way of a packet that is no media: of ICE or of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    /// Towards whom, by which of our ports, and to which address.
    pub(crate) side: Side,
    pub(crate) port: Part,
    pub(crate) to: SocketAddr,
}

impl Outbox {
    /// Sends a packet on as it is. One too long, or beyond [`OUTBOX_MAX`], is dropped and counted.
    pub(crate) fn push(&mut self, packet: Packet<'_>) {
        let Packet { from, part, bytes } = packet;
        self.push_as(Leaves::Media { from, part }, bytes);
    }

    /// Sends bytes on as they are.
    pub(crate) fn push_as(&mut self, leaves: Leaves, bytes: &[u8]) {
        self.push_leaving(leaves, |room| {
            room.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(bytes.len())
        });
    }

    /// Sends on a packet that `write` makes in the room it is given, of [`SLOT_BYTES`] bytes; it
    /// returns the length, or `None` for no packet.
    pub(crate) fn push_with(
        &mut self,
        from: Side,
        part: Part,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        self.push_leaving(Leaves::Media { from, part }, write);
    }

    /// The same for RTP of our own, for one side.
    pub(crate) fn push_played(&mut self, to: Side, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        self.push_leaving(Leaves::To(to, Part::Rtp), write);
    }

    /// The same for what is no media.
    pub(crate) fn push_raw(&mut self, raw: Raw, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        self.push_leaving(Leaves::Raw(raw), write);
    }

    fn push_leaving(&mut self, leaves: Leaves, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let index = self.packets.len();
        if index == OUTBOX_MAX {
            self.overflowed += 1;
            return;
        }
        let start = index * SLOT_BYTES;
        if self.storage.len() < start + SLOT_BYTES {
            self.storage.resize(start + SLOT_BYTES, 0);
        }
        let room = &mut self.storage[start..start + SLOT_BYTES];
        match write(room) {
            Some(len) if len <= SLOT_BYTES - TRAILER_BYTES => {
                self.packets.push(Entry { leaves, len });
            }
            Some(_) => self.overflowed += 1,
            None => {}
        }
    }

    /// Tells the switch.
    pub(crate) fn report(&mut self, event: MediaEvent) {
        self.events.push(event);
    }

    /// How many packets wait.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// How a packet that waits leaves.
    pub(crate) fn leaves(&self, index: usize) -> Leaves {
        self.packets[index].leaves
    }

    /// The bytes of a packet that waits; none if it was refused.
    pub(crate) fn bytes(&self, index: usize) -> &[u8] {
        let start = index * SLOT_BYTES;
        &self.storage[start..start + self.packets[index].len]
    }

    /// Changes a packet that waits: `change` gets its room, which its bytes begin, and their
    /// number, and returns the new one.
    pub(crate) fn change<E>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut [u8], usize) -> Result<usize, E>,
    ) -> Result<(), E> {
        let start = index * SLOT_BYTES;
        let room = &mut self.storage[start..start + SLOT_BYTES];
        let entry = &mut self.packets[index];
        let changed = change(room, entry.len);
        entry.len = changed.as_ref().map_or(0, |len| *len);
        changed.map(|_| ())
    }

    /// The same to change what it says, and not how long it is.
    pub(crate) fn bytes_mut(&mut self, index: usize) -> &mut [u8] {
        let start = index * SLOT_BYTES;
        &mut self.storage[start..start + self.packets[index].len]
    }

    /// Takes a packet that waits back.
    pub(crate) fn refuse(&mut self, index: usize) {
        self.packets[index].len = 0;
    }

    /// What the switch should know.
    pub(crate) fn drain_events(&mut self) -> impl Iterator<Item = MediaEvent> + '_ {
        self.events.drain(..)
    }

    /// How many found no room since this was asked last.
    pub(crate) fn take_overflowed(&mut self) -> u64 {
        std::mem::take(&mut self.overflowed)
    }

    /// Forgets all packets.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
    }
}

/// Packets that one look at a medium may make.
pub(crate) const OUTBOX_MAX: usize = 512;
/// Room kept behind each packet: the tag of SRTP and the index of SRTCP.
pub(crate) const TRAILER_BYTES: usize = 32;
