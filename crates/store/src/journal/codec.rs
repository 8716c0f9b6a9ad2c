//! Journal entries as bytes.
//!
//! Written by hand because it runs three times per call on the call path: fixed-width numbers,
//! one byte per option, texts behind their length. JSON costs ten times as much, and a derived
//! binary format would tie what is on disk to the order of the fields of `model`. A new field
//! gets a new tag; old tags stay readable.

mod quality;

use clock::Time;
use model::{
    AccountId, CallId, CarrierId, Cdr, CdrLegMedia, CdrOutcome, CustomerId, EndedBy, GatewayId,
    NumberId, UserId,
};

use super::{JournalEntry, OpenCdr};

/// Appends an entry's bytes.
pub(super) fn encode(entry: &JournalEntry, out: &mut Vec<u8>) {
    match entry {
        JournalEntry::Opened(open) => {
            out.push(OPENED);
            encode_open(open, out);
        }
        JournalEntry::Answered { call, at } => {
            out.push(ANSWERED);
            out.put_id(call.bits());
            out.put_u64(at.as_micros());
        }
        JournalEntry::Closed(cdr) => {
            out.push(CLOSED);
            encode_cdr(cdr, out);
            quality::encode(cdr, out);
        }
        JournalEntry::Left(call) => {
            out.push(LEFT);
            out.put_id(call.bits());
        }
        JournalEntry::Heartbeat(at) => {
            out.push(HEARTBEAT);
            out.put_u64(at.as_micros());
        }
    }
}

/// The entry in a payload; `None` if it is none that this program writes.
pub(super) fn decode(payload: &[u8]) -> Option<JournalEntry> {
    let mut from = Bytes(payload);
    let entry = match from.u8()? {
        OPENED => JournalEntry::Opened(decode_open(&mut from)?),
        ANSWERED => JournalEntry::Answered {
            call: CallId::from_bits(from.id()?),
            at: Time::from_micros(from.u64()?),
        },
        CLOSED_BEFORE_QUALITY => JournalEntry::Closed(decode_cdr(&mut from)?),
        CLOSED => {
            let mut cdr = decode_cdr(&mut from)?;
            quality::decode(&mut from, &mut cdr)?;
            JournalEntry::Closed(cdr)
        }
        LEFT => JournalEntry::Left(CallId::from_bits(from.id()?)),
        HEARTBEAT => JournalEntry::Heartbeat(Time::from_micros(from.u64()?)),
        _ => return None,
    };
    from.0.is_empty().then_some(entry)
}

/// Whether a payload is a closed record, without decoding it.
pub(super) fn is_closed(payload: &[u8]) -> bool {
    matches!(payload.first(), Some(&(CLOSED | CLOSED_BEFORE_QUALITY)))
}

/// The record in a payload for which [`is_closed`] holds.
pub(super) fn decode_closed(payload: &[u8]) -> Option<Cdr> {
    match decode(payload)? {
        JournalEntry::Closed(cdr) => Some(cdr),
        _ => None,
    }
}

fn encode_open(open: &OpenCdr, out: &mut Vec<u8>) {
    out.put_id(open.call.bits());
    out.put_optional_id(open.account.map(AccountId::bits));
    out.put_optional_id(open.from_user.map(UserId::bits));
    out.put_optional_id(open.customer.map(CustomerId::bits));
    out.put_optional_id(open.carrier.map(CarrierId::bits));
    out.put_u64(open.start_us);
    out.put_text(&open.caller);
    out.put_text(&open.called);
    out.put_text(&open.source);
    out.put_text(&open.sip_call_id);
}

fn decode_open(from: &mut Bytes<'_>) -> Option<OpenCdr> {
    Some(OpenCdr {
        call: CallId::from_bits(from.id()?),
        account: from.optional_id()?.map(AccountId::from_bits),
        from_user: from.optional_id()?.map(UserId::from_bits),
        customer: from.optional_id()?.map(CustomerId::from_bits),
        carrier: from.optional_id()?.map(CarrierId::from_bits),
        start_us: from.u64()?,
        caller: from.text()?,
        called: from.text()?,
        source: from.text()?,
        sip_call_id: from.text()?,
    })
}

fn encode_cdr(cdr: &Cdr, out: &mut Vec<u8>) {
    out.put_id(cdr.call.bits());
    out.put_text(&cdr.node);
    out.put_u64(cdr.sequence);
    out.put_optional_id(cdr.account.map(AccountId::bits));
    out.put_optional_id(cdr.from_user.map(UserId::bits));
    out.put_optional_id(cdr.to_user.map(UserId::bits));
    out.put_optional_id(cdr.customer.map(CustomerId::bits));
    out.put_optional_id(cdr.number.map(NumberId::bits));
    out.put_optional_id(cdr.carrier.map(CarrierId::bits));
    out.put_optional_id(cdr.gateway.map(GatewayId::bits));
    out.put_text(&cdr.caller);
    out.put_text(&cdr.called);
    out.put_text(&cdr.destination);
    out.put_text(&cdr.source);
    out.put_text(&cdr.sip_call_id);
    out.put_text(&cdr.sip_call_id_b);
    out.put_u64(cdr.start_us);
    out.put_optional_u64(cdr.ring_us);
    out.put_optional_u64(cdr.answer_us);
    out.put_u64(cdr.end_us);
    out.push(match cdr.outcome {
        CdrOutcome::Answered => 0,
        CdrOutcome::Busy => 1,
        CdrOutcome::NoAnswer => 2,
        CdrOutcome::Cancelled => 3,
        CdrOutcome::Failed => 4,
    });
    out.extend_from_slice(&cdr.status.to_le_bytes());
    out.put_text(&cdr.reason);
    out.push(match cdr.ended_by {
        EndedBy::Caller => 0,
        EndedBy::Callee => 1,
        EndedBy::Platform => 2,
    });
    out.extend_from_slice(&cdr.attempts.to_le_bytes());
    encode_media(cdr.media_a.as_ref(), out);
    encode_media(cdr.media_b.as_ref(), out);
}

fn decode_cdr(from: &mut Bytes<'_>) -> Option<Cdr> {
    Some(Cdr {
        call: CallId::from_bits(from.id()?),
        node: from.text()?,
        sequence: from.u64()?,
        account: from.optional_id()?.map(AccountId::from_bits),
        from_user: from.optional_id()?.map(UserId::from_bits),
        to_user: from.optional_id()?.map(UserId::from_bits),
        customer: from.optional_id()?.map(CustomerId::from_bits),
        number: from.optional_id()?.map(NumberId::from_bits),
        carrier: from.optional_id()?.map(CarrierId::from_bits),
        gateway: from.optional_id()?.map(GatewayId::from_bits),
        caller: from.text()?,
        called: from.text()?,
        destination: from.text()?,
        source: from.text()?,
        sip_call_id: from.text()?,
        sip_call_id_b: from.text()?,
        start_us: from.u64()?,
        ring_us: from.optional_u64()?,
        answer_us: from.optional_u64()?,
        end_us: from.u64()?,
        outcome: match from.u8()? {
            0 => CdrOutcome::Answered,
            1 => CdrOutcome::Busy,
            2 => CdrOutcome::NoAnswer,
            3 => CdrOutcome::Cancelled,
            4 => CdrOutcome::Failed,
            _ => return None,
        },
        status: from.u16()?,
        reason: from.text()?,
        ended_by: match from.u8()? {
            0 => EndedBy::Caller,
            1 => EndedBy::Callee,
            2 => EndedBy::Platform,
            _ => return None,
        },
        attempts: from.u16()?,
        media_a: decode_media(from)?,
        media_b: decode_media(from)?,
        recordings: Vec::new(),
    })
}

fn encode_media(media: Option<&CdrLegMedia>, out: &mut Vec<u8>) {
    let Some(media) = media else {
        return out.push(NONE);
    };
    out.push(SOME);
    out.put_text(&media.codec);
    out.put_u64(media.packets);
    out.put_u64(media.bytes);
    out.put_u64(media.lost);
    out.extend_from_slice(&media.jitter_us.to_le_bytes());
    out.extend_from_slice(&media.mos_centi.to_le_bytes());
}

fn decode_media(from: &mut Bytes<'_>) -> Option<Option<CdrLegMedia>> {
    from.optional(|from| {
        Some(CdrLegMedia {
            codec: from.text()?,
            packets: from.u64()?,
            bytes: from.u64()?,
            lost: from.u64()?,
            jitter_us: u32::from_le_bytes(from.array()?),
            mos_centi: from.u16()?,
            ..CdrLegMedia::default()
        })
    })
}

/// What an entry is made of, on its way out.
trait Put {
    fn put_u64(&mut self, value: u64);
    fn put_optional_u64(&mut self, value: Option<u64>);
    fn put_id(&mut self, bits: u128);
    fn put_optional_id(&mut self, bits: Option<u128>);
    fn put_text(&mut self, text: &str);
}

impl Put for Vec<u8> {
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_optional_u64(&mut self, value: Option<u64>) {
        let Some(value) = value else {
            return self.push(NONE);
        };
        self.push(SOME);
        self.put_u64(value);
    }

    fn put_id(&mut self, bits: u128) {
        self.extend_from_slice(&bits.to_le_bytes());
    }

    fn put_optional_id(&mut self, bits: Option<u128>) {
        let Some(bits) = bits else {
            return self.push(NONE);
        };
        self.push(SOME);
        self.put_id(bits);
    }

    fn put_text(&mut self, text: &str) {
        let kept = &text[..text.floor_char_boundary(TEXT_MAX)];
        self.extend_from_slice(&(kept.len() as u16).to_le_bytes());
        self.extend_from_slice(kept.as_bytes());
    }
}

/// What an entry is made of, on its way in; `None` as soon as something is missing.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn id(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    fn optional<T>(&mut self, some: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            NONE => Some(None),
            SOME => some(self).map(Some),
            _ => None,
        }
    }

    fn optional_u64(&mut self) -> Option<Option<u64>> {
        self.optional(Self::u64)
    }

    fn optional_id(&mut self) -> Option<Option<u128>> {
        self.optional(Self::id)
    }

    fn text(&mut self) -> Option<String> {
        let len = self.u16()?.into();
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        String::from_utf8(head.to_vec()).ok()
    }
}

const OPENED: u8 = 1;
const ANSWERED: u8 = 2;
/// A closed record of before there was more to say of media than a few figures.
const CLOSED_BEFORE_QUALITY: u8 = 3;
const HEARTBEAT: u8 = 4;
const CLOSED: u8 = 5;
const LEFT: u8 = 6;
const NONE: u8 = 0;
const SOME: u8 = 1;
/// Bytes of one text; the rest of a longer one is cut off. Ten texts fit a frame many times.
const TEXT_MAX: usize = 8 * 1_024;
