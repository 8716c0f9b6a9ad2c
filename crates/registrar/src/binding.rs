//! One contact of one address of record, in little space: about 170 bytes and its texts.

use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;

use clock::{Time, TimerKey};

use crate::agents::AgentKey;
use crate::peer::PeerId;
use crate::reach::{PackedFlow, Reach};

/// Names a binding for as long as it lives, restarts included. Ids grow with time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BindingId(u64);

impl BindingId {
    /// From its number.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its number.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for BindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reg_{:016x}", self.0)
    }
}

impl fmt::Debug for BindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no binding id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a binding id is \"reg_\" and 16 hexadecimal digits")]
pub struct BindingIdError;

impl FromStr for BindingId {
    type Err = BindingIdError;

    fn from_str(text: &str) -> Result<Self, BindingIdError> {
        let digits = text.strip_prefix("reg_").ok_or(BindingIdError)?;
        let fits = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !fits {
            return Err(BindingIdError);
        }
        u64::from_str_radix(digits, 16)
            .map(Self)
            .map_err(|_| BindingIdError)
    }
}

#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) id: BindingId,
    pub(crate) flow: PackedFlow,
    texts: Texts,
    pub(crate) expires: Time,
    /// When it came to be, or came to its present path; decides who is the newest.
    pub(crate) since: Time,
    /// Grows with each change by a client or of its owner: of two states of a binding, the one with
    /// the greater version is right.
    pub(crate) version: u64,
    pub(crate) probe: Probe,
    /// The one timer; fires at `armed`, which may be earlier than anything is due.
    pub(crate) timer: Option<TimerKey>,
    pub(crate) armed: Time,
    pub(crate) cseq: u32,
    /// Until when another node may have a state of it from which it takes itself for the holder; seconds
    /// since the Unix epoch. 0 if none ever held it.
    pub(crate) elsewhere_until_s: u32,
    /// 0 if it is no flow of RFC 5626.
    pub(crate) reg_id: u32,
    /// Smoothed round trip of OPTIONS in microseconds.
    pub(crate) rtt_us: Option<NonZeroU32>,
    /// Next of the same address of record.
    pub(crate) next: u32,
    /// Neighbours on the same connection.
    pub(crate) conn_prev: u32,
    pub(crate) conn_next: u32,
    pub(crate) agent: AgentKey,
    pub(crate) q_milli: u16,
    /// The node that holds its flow and pings it; `None` for this one.
    pub(crate) holder: Option<PeerId>,
    pub(crate) trust: Trust,
    pub(crate) origin: Origin,
    pub(crate) stored: Stored,
    /// What the other nodes have of it; of no meaning where another holds it.
    pub(crate) shared: Stored,
    /// Of another node: when it was heard of last, in counted looks through all.
    pub(crate) mark: u8,
    /// Counts the OPTIONS sent, to tell their answers apart.
    pub(crate) serial: u8,
}

/// Whether calls go to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its path is not verified yet.
    Pending { failures: u8 },
    /// Its path is verified, proves itself, or need not be verified.
    Routable { failures: u8 },
}

/// How this node came to hold a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Its phone has spoken to this process.
    Spoken,
    /// Its phone spoke to this node before a restart, or another node holds it.
    Told,
    /// It was another node's, and its phone has not answered this one yet.
    Inherited,
}

/// What a store of bindings, or the other nodes, have of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Nothing yet.
    Nothing,
    /// An older state.
    Older,
    /// Its newest state.
    Newest,
}

/// The next OPTIONS or keep-alive of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// None is wanted.
    Off,
    /// To be sent.
    At(Time),
    /// OPTIONS was sent; no answer until then is a failure.
    Waiting(Time),
}

impl Binding {
    pub(crate) fn new(id: BindingId, flow: PackedFlow, texts: Texts, now: Time) -> Self {
        Self {
            id,
            flow,
            texts,
            expires: now,
            since: now,
            version: now.as_micros(),
            probe: Probe::Off,
            timer: None,
            armed: now,
            cseq: 0,
            elsewhere_until_s: 0,
            reg_id: 0,
            rtt_us: None,
            next: NIL,
            conn_prev: NIL,
            conn_next: NIL,
            agent: AgentKey::NONE,
            q_milli: Q_MAX,
            holder: None,
            trust: Trust::Routable { failures: 0 },
            origin: Origin::Told,
            stored: Stored::Nothing,
            shared: Stored::Nothing,
            mark: 0,
            serial: 0,
        }
    }

    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Packs the texts anew if any of them changed.
    pub(crate) fn update_texts(&mut self, new: &TextParts<'_>) {
        if self.texts.parts() != *new {
            self.texts = Texts::new(new);
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        let flow = self.flow.unpack();
        match self.holder {
            _ if !self.texts.path().is_empty() => Reach::Path(flow),
            None => Reach::Flow(flow),
            Some(peer) => Reach::Peer(peer, flow),
        }
    }

    /// Notes that a client, or a change of its owner, has changed it.
    pub(crate) fn advance(&mut self, now: Time) {
        self.version = now.as_micros().max(self.version + 1);
    }

    /// Notes that until then another node may have a state of it.
    pub(crate) fn note_elsewhere(&mut self, until: Time) {
        let until_s = until.as_micros().div_ceil(1_000_000);
        let until_s = u32::try_from(until_s).unwrap_or(u32::MAX);
        self.elsewhere_until_s = self.elsewhere_until_s.max(until_s);
    }

    /// When the last state of it has expired that any node may have.
    pub(crate) fn gone_by_us(&self) -> u64 {
        let elsewhere_us = u64::from(self.elsewhere_until_s) * 1_000_000;
        self.expires.as_micros().max(elsewhere_us)
    }

    /// Whether the end of its connection is its own end. Not so behind a Path: then the
    /// connection is a proxy's, which opens another when it likes.
    pub(crate) fn lives_by_connection(&self) -> bool {
        self.flow.conn().is_some() && self.texts.path().is_empty()
    }

    pub(crate) fn is_routable(&self, now: Time) -> bool {
        matches!(self.trust, Trust::Routable { .. }) && self.expires > now
    }

    /// When the first thing happens to it by itself.
    pub(crate) fn due(&self) -> Time {
        match self.probe {
            Probe::Off => self.expires,
            Probe::At(at) | Probe::Waiting(at) => at.min(self.expires),
        }
    }
}

/// The texts of a binding in one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Texts {
    bytes: Box<[u8]>,
    /// Where the address of record, the URI, the Call-ID and the instance end; the rest is Path.
    ends: [u16; 4],
}

/// The texts of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextParts<'a> {
    pub(crate) aor: &'a str,
    pub(crate) uri: &'a [u8],
    pub(crate) call_id: &'a [u8],
    /// Empty if there is none.
    pub(crate) instance: &'a [u8],
    /// As it stands in Route, values divided by commas; empty if there is none.
    pub(crate) path: &'a [u8],
}

impl Texts {
    /// Packs texts whose lengths are within the bounds of [`crate::policy`].
    pub(crate) fn new(parts: &TextParts<'_>) -> Self {
        let mut ends = [0; 4];
        let fields = [
            parts.aor.as_bytes(),
            parts.uri,
            parts.call_id,
            parts.instance,
        ];
        let mut end = 0;
        for (slot, field) in ends.iter_mut().zip(fields) {
            end += field.len();
            *slot = u16::try_from(end).expect("the bounds of all texts add up to less than 2^16");
        }
        let mut bytes = Vec::with_capacity(end + parts.path.len());
        for field in fields {
            bytes.extend_from_slice(field);
        }
        bytes.extend_from_slice(parts.path);
        Self {
            bytes: bytes.into_boxed_slice(),
            ends,
        }
    }

    pub(crate) fn parts(&self) -> TextParts<'_> {
        TextParts {
            aor: self.aor(),
            uri: self.uri(),
            call_id: self.call_id(),
            instance: self.instance(),
            path: self.path(),
        }
    }

    pub(crate) fn aor(&self) -> &str {
        core::str::from_utf8(self.aor_bytes()).expect("it was packed from a str")
    }

    pub(crate) fn aor_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.ends[0])]
    }

    pub(crate) fn uri(&self) -> &[u8] {
        self.between(0)
    }

    pub(crate) fn call_id(&self) -> &[u8] {
        self.between(1)
    }

    pub(crate) fn instance(&self) -> &[u8] {
        self.between(2)
    }

    pub(crate) fn path(&self) -> &[u8] {
        &self.bytes[usize::from(self.ends[3])..]
    }

    fn between(&self, before: usize) -> &[u8] {
        &self.bytes[usize::from(self.ends[before])..usize::from(self.ends[before + 1])]
    }
}

/// No binding.
pub(crate) const NIL: u32 = u32::MAX;
/// q=1 in thousandths, also what a contact without q has.
pub(crate) const Q_MAX: u16 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_is_written() {
        let id = BindingId::from_bits(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "reg_0123456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "reg_", "reg_+123456789abcdef", "0123456789abcdef"] {
            assert_eq!(wrong.parse::<BindingId>(), Err(BindingIdError));
        }
    }

    #[test]
    fn texts_come_back_as_they_were() {
        let parts = TextParts {
            aor: "alice@example.com",
            uri: b"sip:alice@192.0.2.1",
            call_id: b"a84b",
            instance: b"",
            path: b"<sip:edge;lr>",
        };
        assert_eq!(Texts::new(&parts).parts(), parts);
    }

    #[test]
    fn a_binding_is_small() {
        assert!(size_of::<Binding>() <= 184, "{}", size_of::<Binding>());
    }
}
