//! What a phone sends.

use std::time::Duration;

use rtp::srtp::{MasterKey, OVERHEAD_BYTES_MAX, Protector};

use crate::load::message::put;

/// The stream of one phone.
pub(crate) trait Voice {
    /// Appends its next packet to `out`, at `now` after the load's start. Called once per packet
    /// time.
    fn speak(&mut self, now: Duration, out: &mut Vec<u8>);

    /// When a packet that was received was spoken, if it says so.
    fn spoken(_packet: &[u8]) -> Option<Duration> {
        None
    }
}

/// Silence in A-law that ends with the time it was sent at.
pub(crate) struct Alaw {
    ssrc: u32,
    sequence: u16,
}

impl Alaw {
    pub(crate) fn new(ssrc: u32) -> Self {
        Self { ssrc, sequence: 0 }
    }
}

impl Voice for Alaw {
    fn speak(&mut self, now: Duration, out: &mut Vec<u8>) {
        self.sequence = self.sequence.wrapping_add(1);
        let timestamp = u32::from(self.sequence) * SAMPLES_PER_PACKET;
        put(
            out,
            &[
                &[0x80, PCMA],
                &self.sequence.to_be_bytes(),
                &timestamp.to_be_bytes(),
                &self.ssrc.to_be_bytes(),
                &[SILENCE; SAMPLES_PER_PACKET as usize - STAMP_BYTES],
                &(now.as_nanos() as u64).to_be_bytes(),
            ],
        );
    }

    fn spoken(packet: &[u8]) -> Option<Duration> {
        let stamp = packet.last_chunk::<STAMP_BYTES>()?;
        Some(Duration::from_nanos(u64::from_be_bytes(*stamp)))
    }
}

/// Another voice, encrypted.
pub(crate) struct Encrypted<V> {
    voice: V,
    protector: Protector,
    packet: Vec<u8>,
}

impl<V> Encrypted<V> {
    pub(crate) fn new(voice: V, key: &MasterKey) -> Self {
        Self {
            voice,
            protector: Protector::new(key),
            packet: Vec::new(),
        }
    }
}

impl<V: Voice> Voice for Encrypted<V> {
    fn speak(&mut self, now: Duration, out: &mut Vec<u8>) {
        self.packet.clear();
        self.voice.speak(now, &mut self.packet);
        let len = self.packet.len();
        self.packet.resize(len + OVERHEAD_BYTES_MAX, 0);
        let sealed = self.protector.protect_rtp(&mut self.packet, len);
        let sealed = sealed.expect("a packet of our own");
        out.extend_from_slice(&self.packet[..sealed]);
    }
}

const SAMPLES_PER_PACKET: u32 = 160;
const STAMP_BYTES: usize = 8;
/// Static payload type of A-law (RFC 3551 §6).
const PCMA: u8 = 8;
/// A sample of 0 in A-law.
const SILENCE: u8 = 0xd5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_when_it_was_spoken() {
        let mut packet = Vec::new();
        let now = Duration::from_micros(1_234);
        Alaw::new(7).speak(now, &mut packet);
        assert_eq!(packet.len(), 172);
        assert_eq!(Alaw::spoken(&packet), Some(now));
    }
}
