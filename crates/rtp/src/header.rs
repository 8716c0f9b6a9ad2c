//! The RTP fixed header, RFC 3550 §5.1, with extension (§5.3.1) and padding.

/// An RTP packet over the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// Contributing sources, four bytes each.
    csrcs: &'a [u8],
    /// Profile and data of the header extension, if there is one.
    pub extension: Option<(u16, &'a [u8])>,
    /// What is carried, padding removed.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a whole packet.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let header = Header::parse(bytes)?;
        let csrc_end = FIXED_BYTES + usize::from(bytes[0] & 0x0f) * 4;
        let csrcs = bytes
            .get(FIXED_BYTES..csrc_end)
            .ok_or(HeaderError::Truncated)?;
        let mut rest = &bytes[csrc_end..];
        let mut extension = None;
        if bytes[0] & 0x10 != 0 {
            let (head, after) = rest.split_at_checked(4).ok_or(HeaderError::Truncated)?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (data, after) = after
                .split_at_checked(words * 4)
                .ok_or(HeaderError::Truncated)?;
            extension = Some((u16::from_be_bytes([head[0], head[1]]), data));
            rest = after;
        }
        if bytes[0] & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(HeaderError::Truncated)?);
            if padding == 0 || padding > rest.len() {
                return Err(HeaderError::Padding);
            }
            rest = &rest[..rest.len() - padding];
        }
        Ok(Self {
            header,
            csrcs,
            extension,
            payload: rest,
        })
    }

    /// The contributing sources.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.csrcs
            .chunks_exact(4)
            .map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]))
    }
}

/// The fields of the fixed header that say what a packet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The marker bit; in audio the first packet after silence.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// Counts packets.
    pub sequence: u16,
    /// Counts samples, in units of the payload's clock rate.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// Reads the fixed header alone: all that a relay needs of a packet.
    ///
    /// # Errors
    /// See [`HeaderError`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        match bytes.first() {
            None => return Err(HeaderError::Truncated),
            Some(first) if first >> 6 != VERSION => return Err(HeaderError::Version),
            Some(_) => {}
        }
        let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
            return Err(HeaderError::Truncated);
        };
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }

    /// Writes the header of a packet without contributing sources, extension and padding.
    #[must_use]
    pub fn encode(&self) -> [u8; FIXED_BYTES] {
        let mut bytes = [0; FIXED_BYTES];
        bytes[0] = VERSION << 6;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }

    /// Gives a packet these numbers and this source; all else of it stays. One too short stays as
    /// it is.
    pub fn renumber(&self, packet: &mut [u8]) {
        if let Some(fixed) = packet.first_chunk_mut::<FIXED_BYTES>() {
            fixed[2..].copy_from_slice(&self.encode()[2..]);
        }
    }
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// They end before the header does.
    #[error("the packet ends before its header does")]
    Truncated,
    /// The version is not 2: STUN, DTLS, T.38 or noise.
    #[error("the version is not 2")]
    Version,
    /// The padding is longer than the packet.
    #[error("the padding is longer than the packet")]
    Padding,
}

/// Whether a packet on a port shared by RTP and RTCP is RTCP, by RFC 5761 §4: its second byte is
/// 192 to 223, which RTP with a marker would be only for payload types 64 to 95.
#[must_use]
#[inline]
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, ..] if first >> 6 == VERSION)
}

pub(crate) const VERSION: u8 = 2;
/// Length of the fixed header.
pub(crate) const FIXED_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PCMA: [u8; 14] = [
        0x80, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 0xd5, 0xd5,
    ];

    #[test]
    fn reads_a_marked_pcma_packet() {
        let packet = Packet::parse(&PCMA).expect("a valid packet");
        assert_eq!(
            packet.header,
            Header {
                marker: true,
                payload_type: 8,
                sequence: 0x1234,
                timestamp: 160,
                ssrc: 0xdead_beef,
            }
        );
        assert_eq!(packet.payload, [0xd5, 0xd5]);
    }

    #[test]
    fn strips_sources_extension_and_padding() {
        let mut bytes = vec![0xb1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend([0, 0, 0, 7]);
        bytes.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        bytes.extend([9, 9, 0, 2]);
        let packet = Packet::parse(&bytes).expect("a valid packet");
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [7]);
        assert_eq!(packet.extension, Some((0xbede, &[1, 2, 3, 4][..])));
        assert_eq!(packet.payload, [9, 9]);
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(Header::parse(&[]), Err(HeaderError::Truncated));
        assert_eq!(Header::parse(&PCMA[..11]), Err(HeaderError::Truncated));
        assert_eq!(Header::parse(&[0; 20]), Err(HeaderError::Version));
        let mut padded = PCMA;
        padded[0] |= 0x20;
        assert_eq!(Packet::parse(&padded), Err(HeaderError::Padding));
        let mut sources = PCMA;
        sources[0] |= 0x0f;
        assert_eq!(Packet::parse(&sources), Err(HeaderError::Truncated));
    }

    #[test]
    fn renumbers_a_packet_and_leaves_the_rest() {
        let mut bytes = PCMA;
        let header = Header {
            sequence: 7,
            timestamp: 8,
            ssrc: 9,
            ..Header::default()
        };
        header.renumber(&mut bytes);
        assert_eq!(bytes[..2], PCMA[..2]);
        assert_eq!(bytes[2..12], [0, 7, 0, 0, 0, 8, 0, 0, 0, 9]);
        assert_eq!(bytes[12..], PCMA[12..]);
        header.renumber(&mut bytes[..11]);
    }

    #[test]
    fn tells_rtcp_from_rtp_on_one_port() {
        assert!(is_rtcp(&[0x80, 200, 0, 1]));
        assert!(!is_rtcp(&PCMA));
        assert!(!is_rtcp(&[0x00, 200]));
        assert!(!is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn any_header_reads_back(
            marker: bool, payload_type in 0_u8..128, sequence: u16, timestamp: u32, ssrc: u32,
        ) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            prop_assert_eq!(Header::parse(&header.encode()), Ok(header));
        }

        #[test]
        fn no_bytes_panic_and_payloads_stay_inside(bytes: Vec<u8>) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() <= bytes.len() - 12);
            }
        }
    }
}
