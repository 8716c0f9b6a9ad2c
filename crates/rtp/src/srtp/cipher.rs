//! Encryption and authentication of one packet, its index given.
//!
//! AES in counter mode comes from RustCrypto and AES-GCM from AWS-LC: each is the faster of the
//! two at its own on packets of telephone size.

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::derive::{Label, derive};
use super::{MasterKey, RTCP_ENCRYPTED, RTCP_HEADER_BYTES, RTCP_INDEX_BYTES, SrtpError, Suite};

/// The session keys of one direction, for RTP and for RTCP.
#[derive(Debug)]
pub(super) struct Ciphers {
    pub(super) rtp: Cipher,
    pub(super) rtcp: Cipher,
}

impl Ciphers {
    pub(super) fn new(master: &MasterKey) -> Self {
        let suite = master.suite();
        let rtp = [Label::RtpCipher, Label::RtpAuth, Label::RtpSalt];
        let rtcp = [Label::RtcpCipher, Label::RtcpAuth, Label::RtcpSalt];
        let rtp_tag_bytes = match suite {
            Suite::AesCm128HmacSha1_32 => 4,
            _ => HMAC_TAG_BYTES,
        };
        Self {
            rtp: Cipher::new(master, rtp, rtp_tag_bytes),
            rtcp: Cipher::new(master, rtcp, HMAC_TAG_BYTES),
        }
    }
}

/// The session keys of RTP or of RTCP.
#[allow(
    clippy::large_enum_variant,
    reason = "the large one is the commonest by far"
)]
pub(super) enum Cipher {
    CounterMode(CounterMode),
    Gcm(Gcm),
}

/// AES in counter mode and HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1).
pub(super) struct CounterMode {
    aes: Aes128Enc,
    hmac: Hmac<Sha1>,
    salt: [u8; 14],
    tag_bytes: usize,
}

/// AES-GCM (RFC 7714).
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl core::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::CounterMode(_) => "CounterMode",
            Self::Gcm(_) => "Gcm",
        })
    }
}

impl Cipher {
    fn new(master: &MasterKey, [cipher, auth, salt]: [Label; 3], tag_bytes: usize) -> Self {
        let mut key_bytes = [0; 32];
        let mut salt_bytes = [0; 14];
        let key = &mut key_bytes[..master.suite().key_bytes()];
        derive(master, cipher, key);
        derive(master, salt, &mut salt_bytes);
        match master.suite() {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                let mut auth_key = [0; HMAC_KEY_BYTES];
                derive(master, auth, &mut auth_key);
                Self::counter_mode(key, &auth_key, salt_bytes, tag_bytes)
            }
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Self::gcm(key, &salt_bytes[..12]),
        }
    }

    pub(super) fn counter_mode(
        key: &[u8],
        auth_key: &[u8],
        salt: [u8; 14],
        tag_bytes: usize,
    ) -> Self {
        Self::CounterMode(CounterMode {
            aes: Aes128Enc::new_from_slice(key).expect("128 bits by the suite"),
            hmac: Hmac::new_from_slice(auth_key).expect("a key of any length will do"),
            salt,
            tag_bytes,
        })
    }

    pub(super) fn gcm(key: &[u8], salt: &[u8]) -> Self {
        let algorithm = if key.len() == 32 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let unbound = UnboundKey::new(algorithm, key).expect("a length by the suite");
        let mut own = [0; 12];
        own.copy_from_slice(salt);
        Self::Gcm(Gcm {
            key: LessSafeKey::new(unbound),
            salt: own,
        })
    }

    /// Length of the tag of a packet.
    pub(super) fn tag_bytes(&self) -> usize {
        match self {
            Self::CounterMode(cipher) => cipher.tag_bytes,
            Self::Gcm(_) => GCM_TAG_BYTES,
        }
    }

    /// Encrypts `buffer[start..len]` and puts the tag behind it; the new length. There must be
    /// room.
    #[inline]
    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        start: usize,
        len: usize,
        (ssrc, index): (u32, u64),
    ) -> Result<usize, SrtpError> {
        let end = len + self.tag_bytes();
        let packet = buffer.get_mut(..end).ok_or(SrtpError::NoRoom)?;
        match self {
            Self::CounterMode(cipher) => {
                cipher.apply(ssrc, index, &mut packet[start..len]);
                let tag = cipher.tag(&packet[..len], &((index >> 16) as u32).to_be_bytes());
                packet[len..].copy_from_slice(&tag[..cipher.tag_bytes]);
            }
            Self::Gcm(cipher) => {
                let (header, rest) = packet.split_at_mut(start);
                let (payload, tag) = rest.split_at_mut(len - start);
                cipher.seal(cipher.rtp_nonce(ssrc, index), header, payload, tag)?;
            }
        }
        Ok(end)
    }

    /// Checks the tag of a packet and decrypts it from `start` on; the new length. If it is not
    /// authentic, its bytes may have changed where GCM is used.
    #[inline]
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        start: usize,
        (ssrc, index): (u32, u64),
    ) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(self.tag_bytes());
        let len = len
            .filter(|len| *len >= start)
            .ok_or(SrtpError::Truncated)?;
        match self {
            Self::CounterMode(cipher) => {
                let (signed, tag) = packet.split_at_mut(len);
                cipher.check(signed, &((index >> 16) as u32).to_be_bytes(), tag)?;
                cipher.apply(ssrc, index, &mut signed[start..]);
            }
            Self::Gcm(cipher) => {
                let (header, payload) = packet.split_at_mut(start);
                cipher.open(cipher.rtp_nonce(ssrc, index), header, payload)?;
            }
        }
        Ok(len)
    }

    /// As [`Cipher::seal_rtp`] for RTCP (RFC 3711 §3.4, RFC 7714 §9.2).
    pub(super) fn seal_rtcp(
        &self,
        buffer: &mut [u8],
        len: usize,
        (ssrc, index): (u32, u32),
    ) -> Result<usize, SrtpError> {
        let end = len + self.tag_bytes() + RTCP_INDEX_BYTES;
        let packet = buffer.get_mut(..end).ok_or(SrtpError::NoRoom)?;
        let word = (RTCP_ENCRYPTED | index).to_be_bytes();
        match self {
            Self::CounterMode(cipher) => {
                let body = &mut packet[RTCP_HEADER_BYTES..len];
                cipher.apply(ssrc, u64::from(index), body);
                let signed = len + RTCP_INDEX_BYTES;
                packet[len..signed].copy_from_slice(&word);
                let tag = cipher.tag(&packet[..signed], &[]);
                packet[signed..].copy_from_slice(&tag[..cipher.tag_bytes]);
            }
            Self::Gcm(cipher) => {
                let (sealed, behind) = packet.split_at_mut(len + GCM_TAG_BYTES);
                behind.copy_from_slice(&word);
                let (header, rest) = sealed.split_at_mut(RTCP_HEADER_BYTES);
                let (payload, tag) = rest.split_at_mut(len - RTCP_HEADER_BYTES);
                let aad = gcm_rtcp_aad(header, word);
                cipher.seal(cipher.rtcp_nonce(ssrc, index), &aad, payload, tag)?;
            }
        }
        Ok(end)
    }

    /// The index that an SRTCP packet says it has.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        let behind = match self {
            Self::CounterMode(cipher) => cipher.tag_bytes,
            Self::Gcm(_) => 0,
        };
        let end = packet.len().checked_sub(behind);
        let words = end.and_then(|end| packet[..end].last_chunk::<RTCP_INDEX_BYTES>());
        let word = u32::from_be_bytes(*words.ok_or(SrtpError::Truncated)?);
        // Not encrypted (RFC 3711 §3.4): nobody who agreed on keys sends that.
        if word & RTCP_ENCRYPTED == 0 {
            return Err(SrtpError::NotAuthentic);
        }
        Ok(word & !RTCP_ENCRYPTED)
    }

    /// As [`Cipher::open_rtp`] for RTCP.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        (ssrc, index): (u32, u32),
    ) -> Result<usize, SrtpError> {
        let overhead = self.tag_bytes() + RTCP_INDEX_BYTES;
        let len = packet.len().checked_sub(overhead);
        let len = len.filter(|len| *len >= RTCP_HEADER_BYTES);
        let len = len.ok_or(SrtpError::Truncated)?;
        match self {
            Self::CounterMode(cipher) => {
                let (signed, tag) = packet.split_at_mut(len + RTCP_INDEX_BYTES);
                cipher.check(signed, &[], tag)?;
                let body = &mut signed[RTCP_HEADER_BYTES..len];
                cipher.apply(ssrc, u64::from(index), body);
            }
            Self::Gcm(cipher) => {
                let (sealed, _) = packet.split_at_mut(len + GCM_TAG_BYTES);
                let (header, payload) = sealed.split_at_mut(RTCP_HEADER_BYTES);
                let aad = gcm_rtcp_aad(header, (RTCP_ENCRYPTED | index).to_be_bytes());
                cipher.open(cipher.rtcp_nonce(ssrc, index), &aad, payload)?;
            }
        }
        Ok(len)
    }
}

impl CounterMode {
    /// Encrypts or decrypts (RFC 3711 §4.1.1).
    pub(super) fn apply(&self, ssrc: u32, index: u64, bytes: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        let core = CtrCore::<&Aes128Enc, Ctr128BE>::inner_iv_init(&self.aes, &iv.into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(bytes);
    }

    fn tag(&self, signed: &[u8], rollovers: &[u8]) -> [u8; 20] {
        let mut hmac = self.hmac.clone();
        hmac.update(signed);
        hmac.update(rollovers);
        hmac.finalize().into_bytes().into()
    }

    fn check(&self, signed: &[u8], rollovers: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        let mut hmac = self.hmac.clone();
        hmac.update(signed);
        hmac.update(rollovers);
        hmac.verify_truncated_left(tag)
            .map_err(|_| SrtpError::NotAuthentic)
    }
}

impl Gcm {
    /// RFC 7714 §8.1.
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..], &index.to_be_bytes()[2..]);
        Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 7714 §9.1.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[8..], &index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(
        &self,
        nonce: Nonce,
        aad: &[u8],
        payload: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), payload);
        // It fails only for lengths that no packet has.
        tag.copy_from_slice(sealed.map_err(|_| SrtpError::NoRoom)?.as_ref());
        Ok(())
    }

    fn open(&self, nonce: Nonce, aad: &[u8], payload: &mut [u8]) -> Result<(), SrtpError> {
        let opened = self.key.open_in_place(nonce, Aad::from(aad), payload);
        opened.map(|_| ()).map_err(|_| SrtpError::NotAuthentic)
    }
}

/// What GCM authenticates of an encrypted RTCP packet beside its payload (RFC 7714 §9.2).
fn gcm_rtcp_aad(header: &[u8], word: [u8; 4]) -> [u8; 12] {
    let mut aad = [0; 12];
    aad[..8].copy_from_slice(header);
    aad[8..].copy_from_slice(&word);
    aad
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    for (byte, with) in bytes.iter_mut().zip(with) {
        *byte ^= with;
    }
}

const HMAC_KEY_BYTES: usize = 20;
const HMAC_TAG_BYTES: usize = 10;
const GCM_TAG_BYTES: usize = 16;
