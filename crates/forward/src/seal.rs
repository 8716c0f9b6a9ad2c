//! What we write into messages for ourselves, with a proof that it was us.
//!
//! A [`Dialog`] stands in Record-Route and is bound to its Call-ID: it opens in no other dialog.
//! A token stands in the Path of a registration, or in the Route to a registration that another of
//! us holds. A [`Branch`] stands in our Via and is bound to
//! the transaction. The proof is SipHash-2-4 under keys made of the cluster's, one for each
//! use, as what one use shows must prove nothing in another: whoever has the key opens what any of
//! the same role sealed. Names of transactions, which each message needs and which live for half a
//! minute, are SipHash-1-3. Nothing in them is secret, for each side knows where the other is, or
//! could ask.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sip::Message;
use siphasher::sip::{SipHasher13, SipHasher24};

use crate::end::{Bytes, End, SEALED_MAX, take};

/// Seals and opens.
#[derive(Clone, Debug)]
pub struct Seal {
    dialogs: SipHasher24,
    paths: SipHasher24,
    bindings: SipHasher24,
    transactions: SipHasher13,
    choices: SipHasher24,
    answers: SipHasher24,
    calls: SipHasher24,
    probes: SipHasher24,
    tags: SipHasher24,
}

/// What a dialog's Record-Route says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Who began it.
    pub origin: Origin,
    /// Where requests go that are for the client.
    pub next_hop: NextHop,
    /// A hash of the From tag of the request that began it: who has it in From now is that side.
    pub from_tag: u32,
    /// The side of phones.
    pub client: End,
    /// The side of switches.
    pub target: End,
}

/// Which side began a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The side of phones.
    Client,
    /// The side of switches.
    Target,
}

/// Where requests go that are for the client of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// Where its own come from.
    Flow,
    /// Where their Route or their URI leads (RFC 3261 §16.6 point 6).
    Named,
}

/// What a token in a URI of ours says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Both sides of a dialog.
    Dialog(Dialog),
    /// The flow of a phone (RFC 5626 §5.2).
    Path(End),
    /// A registration, by its number: whoever holds it knows its flow.
    Binding(u64),
}

/// What our branch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// How many targets were tried before.
    pub attempt: u8,
    /// Where responses go.
    pub end: End,
    /// Names the transaction; see [`Seal::transaction`].
    pub key: u64,
}

/// Seals the keys of calls, which stand in tags: who has not seen a tag of a call cannot make one.
#[derive(Clone, Debug)]
pub struct KeySeal(SipHasher24);

impl KeySeal {
    /// For all who have this key.
    #[must_use]
    pub fn new(cluster_key: &[u8; 32]) -> Self {
        let key = key_of(cluster_key, "tandem keys of calls");
        Self(SipHasher24::new_with_key(&key))
    }

    /// The seal of a call's key.
    #[must_use]
    pub fn of(&self, key: u64) -> u64 {
        self.0.hash(&key.to_be_bytes())
    }
}

impl Seal {
    /// For all of a `role` that have this key; other roles open nothing of theirs.
    #[must_use]
    pub fn new(cluster_key: &[u8; 32], role: &str) -> Self {
        let key = |purpose: &str| key_of(cluster_key, &format!("{role}: {purpose}"));
        let keyed = |purpose: &str| SipHasher24::new_with_key(&key(purpose));
        Self {
            dialogs: keyed("dialogs"),
            paths: keyed("paths"),
            bindings: keyed("bindings"),
            transactions: SipHasher13::new_with_key(&key("transactions")),
            choices: keyed("choices"),
            answers: keyed("answers"),
            calls: keyed("calls"),
            probes: keyed("probes"),
            tags: keyed("tags"),
        }
    }

    /// Writes the user part of a Record-Route URI.
    pub fn write_dialog(&self, out: &mut Vec<u8>, dialog: &Dialog, call_id: &[u8]) {
        let mut bytes = Bytes::new();
        let origin = match dialog.origin {
            Origin::Client => 0,
            Origin::Target => BY_TARGET,
        };
        let next_hop = match dialog.next_hop {
            NextHop::Flow => 0,
            NextHop::Named => TO_NAMED,
        };
        bytes.put(&[origin | next_hop]);
        bytes.put(&dialog.from_tag.to_be_bytes());
        dialog.client.write(&mut bytes);
        dialog.target.write(&mut bytes);
        close(out, b'd', &self.dialogs, bytes, call_id);
    }

    /// Writes the user part of a Path URI.
    pub fn write_path(&self, out: &mut Vec<u8>, end: &End) {
        let mut bytes = Bytes::new();
        end.write(&mut bytes);
        close(out, b'p', &self.paths, bytes, b"");
    }

    /// Writes the user part of a URI in Route that leads to a registration.
    pub fn write_binding(&self, out: &mut Vec<u8>, number: u64) {
        let mut bytes = Bytes::new();
        bytes.put(&number.to_be_bytes());
        close(out, b'b', &self.bindings, bytes, b"");
    }

    /// Opens the user part of a URI of ours; `None` if it is forged, or of another dialog.
    #[must_use]
    pub fn open(&self, user: &[u8], call_id: &[u8]) -> Option<Pass> {
        let (kind, text) = user.split_first()?;
        let hasher = match kind {
            b'd' => &self.dialogs,
            b'p' => &self.paths,
            b'b' => &self.bindings,
            _ => return None,
        };
        let mut space = [0; SEALED_MAX];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut space).ok()?;
        let (sealed, proof) = space.get(..length)?.split_last_chunk::<8>()?;
        let context = if *kind == b'd' { call_id } else { b"" };
        if prove(hasher, sealed, context) != u64::from_be_bytes(*proof) {
            return None;
        }
        let mut rest = sealed;
        let pass = if *kind == b'd' {
            let [head] = take(&mut rest)?;
            let from_tag = u32::from_be_bytes(take(&mut rest)?);
            let client = End::read(&mut rest)?;
            let target = End::read(&mut rest)?;
            let origin = match head & BY_TARGET {
                0 => Origin::Client,
                _ => Origin::Target,
            };
            let next_hop = match head & TO_NAMED {
                0 => NextHop::Flow,
                _ => NextHop::Named,
            };
            Pass::Dialog(Dialog {
                origin,
                next_hop,
                from_tag,
                client,
                target,
            })
        } else if *kind == b'p' {
            Pass::Path(End::read(&mut rest)?)
        } else {
            Pass::Binding(u64::from_be_bytes(take(&mut rest)?))
        };
        rest.is_empty().then_some(pass)
    }

    /// Writes our branch, without the cookie.
    pub fn write_branch(out: &mut Vec<u8>, branch: &Branch) {
        let mut bytes = Bytes::new();
        bytes.put(&[branch.attempt]);
        bytes.put(&branch.key.to_be_bytes());
        branch.end.write(&mut bytes);
        write_text(out, bytes.as_slice());
    }

    /// Reads a branch; whether it is ours is for [`Seal::transaction`] to tell.
    #[must_use]
    pub fn read_branch(text: &[u8]) -> Option<Branch> {
        let mut space = [0; SEALED_MAX];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut space).ok()?;
        let mut rest = space.get(..length)?;
        let [attempt] = take(&mut rest)?;
        let key = u64::from_be_bytes(take(&mut rest)?);
        let end = End::read(&mut rest)?;
        rest.is_empty().then_some(Branch { attempt, end, key })
    }

    /// Names a transaction by what its request, its CANCEL, its ACK and its responses have in
    /// common (RFC 3261 §16.11): the Via below ours, Call-ID, From tag and CSeq number, and where
    /// responses go. Nobody without the key can name one. The lowest bit is 1.
    #[must_use]
    pub fn transaction(
        &self,
        message: &Message,
        from_tag: &[u8],
        via: &sip::Via<'_>,
        end: &End,
    ) -> u64 {
        let number = message.cseq().map_or(0, |cseq| cseq.number);
        let mut bytes = Bytes::new();
        bytes.put(&number.to_be_bytes());
        bytes.put(&via.port.unwrap_or(0).to_be_bytes());
        end.write(&mut bytes);
        let parts = [
            via.branch().unwrap_or_default(),
            via.host,
            message.call_id().unwrap_or_default(),
            from_tag,
        ];
        // The lengths go first, so that no two lists of parts give the same bytes.
        let lengths = parts.map(|part| (part.len() as u32).to_be_bytes());
        let [branch, host, call_id, tag] = parts;
        let lengths = lengths.as_flattened();
        let all = [lengths, branch, host, call_id, tag, bytes.as_slice()];
        hash_of(|text| self.transactions.hash(text), &all) | 1
    }

    /// The To tag of an answer of ours. Its receiver must not learn the key of the transaction
    /// from it: with that he could answer in the place of a target.
    #[must_use]
    pub fn answer(&self, transaction: u64) -> u64 {
        self.answers.hash(&transaction.to_be_bytes())
    }

    /// Names a call.
    #[must_use]
    pub fn call(&self, call_id: &[u8]) -> u64 {
        self.calls.hash(call_id)
    }

    /// What proves that an answer is one to a probe of ours.
    #[must_use]
    pub fn probe(&self, text: &[u8]) -> u64 {
        self.probes.hash(text)
    }

    /// What a choice by hash goes by; the same for each of us that has the key.
    #[must_use]
    pub fn choice(&self, text: &[u8]) -> u64 {
        self.choices.hash(text)
    }

    /// A hash of a From tag.
    #[must_use]
    pub fn tag(&self, tag: &[u8]) -> u32 {
        self.tags.hash(tag) as u32
    }
}

fn close(out: &mut Vec<u8>, kind: u8, hasher: &SipHasher24, mut bytes: Bytes, context: &[u8]) {
    let proof = prove(hasher, bytes.as_slice(), context);
    bytes.put(&proof.to_be_bytes());
    out.push(kind);
    write_text(out, bytes.as_slice());
}

fn write_text(out: &mut Vec<u8>, sealed: &[u8]) {
    let mut space = [0; TEXT_MAX];
    // What is sealed has no more than SEALED_MAX bytes.
    let length = URL_SAFE_NO_PAD.encode_slice(sealed, &mut space);
    out.extend_from_slice(&space[..length.unwrap_or(0)]);
}

fn prove(hasher: &SipHasher24, sealed: &[u8], context: &[u8]) -> u64 {
    let parts = [&[sealed.len() as u8], sealed, context];
    hash_of(|text| hasher.hash(text), &parts)
}

/// The hash of all parts, one behind the other.
fn hash_of(hash: impl Fn(&[u8]) -> u64, parts: &[&[u8]]) -> u64 {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut space = [0; HASHED_USUAL];
    let Some(text) = space.get_mut(..length) else {
        return hash(&parts.concat());
    };
    let mut rest = &mut *text;
    for part in parts {
        let (here, behind) = rest.split_at_mut(part.len());
        here.copy_from_slice(part);
        rest = behind;
    }
    hash(text)
}

/// Under a key of its own, which says nothing about the cluster's.
fn key_of(cluster_key: &[u8; 32], label: &str) -> [u8; 16] {
    let mac = Hmac::<Sha256>::new_from_slice(cluster_key);
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(label.as_bytes());
    let key: [u8; 32] = mac.finalize().into_bytes().into();
    let (key, _) = key.split_first_chunk().expect("32 bytes are more than 16");
    *key
}

/// Bits of the first byte of a dialog.
const BY_TARGET: u8 = 1;
const TO_NAMED: u8 = 2;
/// What fits into it is hashed without an allocation.
const HASHED_USUAL: usize = 384;
/// The longest that is sealed, as text.
const TEXT_MAX: usize = SEALED_MAX.div_ceil(3) * 4;
