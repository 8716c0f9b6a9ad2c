//! SRTP and SRTCP: RFC 3711 with AES in counter mode and HMAC-SHA1, RFC 7714 with AES-GCM.
//!
//! A [`Protector`] encrypts what one side sends, an [`Unprotector`] checks and decrypts what it
//! receives; each has one master key and the state of every SSRC it has seen. Packets are changed
//! in place, with room for the tag behind them, and nothing is allocated for a packet.
//!
//! What a packet's index is, is guessed as in RFC 3711 §3.3.1. Where that guess can be wrong
//! (the first packet of a source under a key, or the first after a long loss), another is tried
//! before the packet is given up, and a guess counts only once the packet is authenticated.
//!
//! Left out: the key derivation rate (0 everywhere in the field), MKI, and packets whose sender
//! has chosen not to encrypt (RFC 4568 §6.3.2).

mod cipher;
mod derive;
mod protect;
mod stream;
mod suite;
mod unprotect;

pub use protect::Protector;
pub use suite::{MasterKey, Suite};
pub use unprotect::Unprotector;

/// Why a packet was not protected or unprotected. The key and its state are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// It ends before its header or its tag does.
    #[error("the packet ends before its header or its tag does")]
    Truncated,
    /// Its header is none of RTP or RTCP.
    #[error("no RTP or RTCP header")]
    NotRtp,
    /// Its tag is not what the key says.
    #[error("the packet is not authentic")]
    NotAuthentic,
    /// Its index was used before, or is too old to tell.
    #[error("the packet was seen before, or is too old to tell")]
    Replayed,
    /// There is no room for the tag behind it.
    #[error("no room for the tag")]
    NoRoom,
    /// Its source is one too many for this key.
    #[error("more sources than are kept for one key")]
    TooManySources,
    /// All indices of its source are used: the key must change (RFC 3711 §9.2).
    #[error("the key is used up")]
    Exhausted,
}

/// The most bytes that protection adds to a packet: the tag of GCM, and the index of SRTCP.
pub const OVERHEAD_BYTES_MAX: usize = 20;

/// Where the payload of an RTP packet begins: behind sources and extension, padding included.
fn payload_start(packet: &[u8]) -> Result<usize, SrtpError> {
    let [first, _, _, _, ..] = packet else {
        return Err(SrtpError::Truncated);
    };
    if first >> 6 != crate::header::VERSION {
        return Err(SrtpError::NotRtp);
    }
    let mut start = RTP_HEADER_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        let words = packet.get(start + 2..start + 4);
        let [high, low] = *words.ok_or(SrtpError::Truncated)? else {
            return Err(SrtpError::Truncated);
        };
        start += 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
    }
    if start > packet.len() {
        return Err(SrtpError::Truncated);
    }
    Ok(start)
}

/// Sequence number and SSRC of a packet that is at least as long as the fixed header.
fn sequence_and_ssrc(packet: &[u8]) -> Result<(u16, u32), SrtpError> {
    let fixed = packet.first_chunk::<RTP_HEADER_BYTES>();
    let fixed = fixed.ok_or(SrtpError::Truncated)?;
    let sequence = u16::from_be_bytes([fixed[2], fixed[3]]);
    let ssrc = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
    Ok((sequence, ssrc))
}

/// The SSRC of the first packet of a compound.
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let fixed = packet.first_chunk::<RTCP_HEADER_BYTES>();
    let fixed = fixed.ok_or(SrtpError::Truncated)?;
    if !crate::is_rtcp(packet) {
        return Err(SrtpError::NotRtp);
    }
    Ok(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
}

const RTP_HEADER_BYTES: usize = 12;
/// Of RTCP these bytes stay in the clear (RFC 3711 §3.4).
const RTCP_HEADER_BYTES: usize = 8;
/// The index of SRTCP with the flag that says encrypted.
const RTCP_INDEX_BYTES: usize = 4;
const RTCP_ENCRYPTED: u32 = 1 << 31;

#[cfg(test)]
mod tests;
