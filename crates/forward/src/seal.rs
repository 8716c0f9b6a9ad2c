//! What we write into messages for ourselves, with a proof that it was us.
//!
//! A [`Dialog`] stands in Record-Route and is bound to its Call-ID: it opens in no other dialog.
//! A token stands in the Path of a registration, or in the Route to a registration that another of
//! us holds. A [`Branch`] stands in our Via and is bound to
//! the transaction. The proof is SipHash-2-4 under keys made of the cluster's: whoever has the
//! key opens what any of them sealed. Nothing in them is secret, for each side knows where the
//! other is, or could ask.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sip::Message;
use siphasher::sip::SipHasher24;

use crate::end::{Bytes, End, take};

/// Seals and opens.
#[derive(Clone, Debug)]
pub struct Seal {
    dialogs: SipHasher24,
    paths: SipHasher24,
    bindings: SipHasher24,
    transactions: SipHasher24,
    choices: SipHasher24,
    calls: SipHasher24,
    tags: SipHasher24,
}

/// What a dialog's Record-Route says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Who began it.
    pub origin: Origin,
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

impl Seal {
    /// For all of a `role` that have this key; other roles open nothing of theirs.
    #[must_use]
    pub fn new(cluster_key: &[u8; 32], role: &str) -> Self {
        let keyed = |purpose: &str| keyed(cluster_key, &format!("{role}: {purpose}"));
        Self {
            dialogs: keyed("dialogs"),
            paths: keyed("paths"),
            bindings: keyed("bindings"),
            transactions: keyed("transactions"),
            choices: keyed("choices"),
            calls: keyed("calls"),
            tags: keyed("tags"),
        }
    }

    /// The user part of a Record-Route URI.
    #[must_use]
    pub fn dialog(&self, dialog: &Dialog, call_id: &[u8]) -> String {
        let mut bytes = Bytes::new();
        bytes.push(match dialog.origin {
            Origin::Client => 0,
            Origin::Target => 1,
        });
        bytes.extend_from_slice(&dialog.from_tag.to_be_bytes());
        dialog.client.write(&mut bytes);
        dialog.target.write(&mut bytes);
        self.close('d', &self.dialogs, bytes, call_id)
    }

    /// The user part of a Path URI.
    #[must_use]
    pub fn path(&self, end: &End) -> String {
        let mut bytes = Bytes::new();
        end.write(&mut bytes);
        self.close('p', &self.paths, bytes, b"")
    }

    /// The user part of a URI in Route that leads to a registration.
    #[must_use]
    pub fn binding(&self, number: u64) -> String {
        let bytes = Bytes::from_slice(&number.to_be_bytes());
        self.close('b', &self.bindings, bytes, b"")
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
            let [origin] = take(&mut rest)?;
            let from_tag = u32::from_be_bytes(take(&mut rest)?);
            let client = End::read(&mut rest)?;
            let target = End::read(&mut rest)?;
            let origin = match origin {
                0 => Origin::Client,
                _ => Origin::Target,
            };
            Pass::Dialog(Dialog {
                origin,
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

    /// Our branch, without the cookie.
    #[must_use]
    pub fn branch(branch: &Branch) -> String {
        let mut bytes = Bytes::new();
        bytes.push(branch.attempt);
        bytes.extend_from_slice(&branch.key.to_be_bytes());
        branch.end.write(&mut bytes);
        let mut text = String::with_capacity(64);
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
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
    pub fn transaction(&self, message: &Message, via: &sip::Via<'_>, end: &End) -> u64 {
        let mut text = smallvec::SmallVec::<[u8; 256]>::new();
        let from_tag = message.from().ok().and_then(|from| from.tag());
        for part in [
            via.branch().unwrap_or_default(),
            via.host,
            message.call_id().unwrap_or_default(),
            from_tag.unwrap_or_default(),
        ] {
            text.extend_from_slice(&(part.len() as u32).to_be_bytes());
            text.extend_from_slice(part);
        }
        let number = message.cseq().map_or(0, |cseq| cseq.number);
        text.extend_from_slice(&number.to_be_bytes());
        text.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        let mut bytes = Bytes::new();
        end.write(&mut bytes);
        text.extend_from_slice(&bytes);
        self.transactions.hash(&text) | 1
    }

    /// Names a call.
    #[must_use]
    pub fn call(&self, call_id: &[u8]) -> u64 {
        self.calls.hash(call_id)
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

    fn close(&self, kind: char, hasher: &SipHasher24, mut bytes: Bytes, context: &[u8]) -> String {
        let proof = prove(hasher, &bytes, context);
        bytes.extend_from_slice(&proof.to_be_bytes());
        let mut text = String::with_capacity(120);
        text.push(kind);
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
    }
}

fn prove(hasher: &SipHasher24, sealed: &[u8], context: &[u8]) -> u64 {
    let mut text = smallvec::SmallVec::<[u8; 192]>::new();
    text.push(sealed.len() as u8);
    text.extend_from_slice(sealed);
    text.extend_from_slice(context);
    hasher.hash(&text)
}

/// Under a key of its own, which says nothing about the cluster's.
fn keyed(cluster_key: &[u8; 32], label: &str) -> SipHasher24 {
    let mac = Hmac::<Sha256>::new_from_slice(cluster_key);
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(label.as_bytes());
    let key: [u8; 32] = mac.finalize().into_bytes().into();
    let (key, _) = key.split_first_chunk().expect("32 bytes are more than 16");
    SipHasher24::new_with_key(key)
}

/// The longest that is opened: two ends with IPv6 addresses and connections, and what else there
/// is.
const SEALED_MAX: usize = 96;
