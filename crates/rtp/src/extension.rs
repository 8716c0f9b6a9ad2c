//! Elements of header extensions with one-byte headers, RFC 8285 §4.2.
//!
//! Extensions with two-byte headers (§4.3) and of other profiles are left as they are.

use crate::Packet;
use crate::header::FIXED_BYTES;

/// An element that a packet carries.
#[must_use]
pub fn element<'p>(packet: &Packet<'p>, id: u8) -> Option<&'p [u8]> {
    let (profile, data) = packet.extension?;
    let mut elements = Elements {
        data: if profile == ONE_BYTE { data } else { &[] },
    };
    elements.find_map(|(known, value)| (known == id).then_some(value))
}

/// Gives the packet of `len` bytes at the beginning of `room` an element that it has not; its
/// new length. A packet that has one of this number, or an extension of another form, stays as
/// it is. `None` if it is no RTP packet, if the element is none (numbers are 1 to 14, values 1 to
/// 16 bytes long), or if there is no room.
#[must_use]
pub fn insert_element(room: &mut [u8], len: usize, id: u8, value: &[u8]) -> Option<usize> {
    if !(1..=ID_MAX).contains(&id) || !(1..=VALUE_BYTES_MAX).contains(&value.len()) {
        return None;
    }
    let packet = Packet::parse(room.get(..len)?).ok()?;
    let sources_end = FIXED_BYTES + usize::from(room[0] & 0x0f) * 4;
    let (at, old_words, is_new) = match packet.extension {
        None => (sources_end, 0, true),
        Some((ONE_BYTE, data)) if element(&packet, id).is_none() => {
            (sources_end + HEAD_BYTES, data.len() / 4, false)
        }
        Some(_) => return Some(len),
    };
    let words = (1 + value.len()).div_ceil(4);
    let added = words * 4 + if is_new { HEAD_BYTES } else { 0 };
    if room.len() < len + added {
        return None;
    }
    room.copy_within(at..len, at + added);
    let head = if is_new { at } else { at - HEAD_BYTES };
    let all_words = u16::try_from(old_words + words).ok()?;
    room[head..head + 2].copy_from_slice(&ONE_BYTE.to_be_bytes());
    room[head + 2..head + HEAD_BYTES].copy_from_slice(&all_words.to_be_bytes());
    // First, so that padding behind the others, or an end (§4.2: number 15), hides nothing of it.
    let start = head + HEAD_BYTES;
    let element = &mut room[start..start + words * 4];
    element.fill(0);
    element[0] = id << 4 | (value.len() - 1) as u8;
    element[1..=value.len()].copy_from_slice(value);
    room[0] |= HAS_EXTENSION;
    Some(len + added)
}

/// Takes an element off a packet, and its extension with the last one; the new length. Bytes that
/// are no RTP packet stay as they are.
#[must_use]
pub fn remove_element(packet: &mut [u8], id: u8) -> usize {
    let len = packet.len();
    let Ok(parsed) = Packet::parse(packet) else {
        return len;
    };
    let (Some(value), Some((_, data))) = (element(&parsed, id), parsed.extension) else {
        return len;
    };
    let (data_bytes, value_bytes) = (data.len(), value.len());
    let value_at = value.as_ptr().addr() - data.as_ptr().addr();
    let start = FIXED_BYTES + usize::from(packet[0] & 0x0f) * 4 + HEAD_BYTES;
    let data = &mut packet[start..start + data_bytes];
    // Zeros between elements are padding.
    data[value_at - 1..value_at + value_bytes].fill(0);
    if data.iter().any(|byte| *byte != 0) {
        return len;
    }
    packet.copy_within(start + data_bytes.., start - HEAD_BYTES);
    packet[0] &= !HAS_EXTENSION;
    len - data_bytes - HEAD_BYTES
}

/// Numbers and values, in their order.
struct Elements<'p> {
    data: &'p [u8],
}

impl<'p> Iterator for Elements<'p> {
    type Item = (u8, &'p [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let [0, rest @ ..] = self.data {
            self.data = rest;
        }
        let (head, rest) = self.data.split_first()?;
        let id = head >> 4;
        if id > ID_MAX {
            return None;
        }
        let (value, rest) = rest.split_at_checked(usize::from(head & 0x0f) + 1)?;
        self.data = rest;
        Some((id, value))
    }
}

/// The profile of extensions with one-byte headers.
const ONE_BYTE: u16 = 0xbede;
/// The highest number of an element; 15 ends an extension.
const ID_MAX: u8 = 14;
const VALUE_BYTES_MAX: usize = 16;
/// Profile and length of an extension.
const HEAD_BYTES: usize = 4;
/// The bit of the first byte that says so.
const HAS_EXTENSION: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Header;
    use proptest::prelude::*;

    fn packet(tail: &[u8]) -> (Vec<u8>, usize) {
        let mut bytes = Header::default().encode().to_vec();
        bytes.extend(tail);
        let len = bytes.len();
        bytes.resize(len + 64, 0);
        (bytes, len)
    }

    #[test]
    fn an_element_is_put_into_a_packet_without_extension() {
        let (mut room, len) = packet(b"payload");
        let len = insert_element(&mut room, len, 4, b"v").expect("room");
        assert_eq!(room[12..20], [0xbe, 0xde, 0, 1, 0x40, b'v', 0, 0]);
        let packet = Packet::parse(&room[..len]).expect("RTP");
        assert_eq!(packet.payload, b"payload");
        assert_eq!(element(&packet, 4), Some(&b"v"[..]));
        assert_eq!(element(&packet, 5), None);
    }

    #[test]
    fn it_joins_the_elements_that_are_there() {
        let (mut room, len) = packet(&[0xbe, 0xde, 0, 1, 0x11, 7, 8, 0, b'x']);
        room[0] |= HAS_EXTENSION;
        let len = insert_element(&mut room, len, 4, b"longer").expect("room");
        let packet = Packet::parse(&room[..len]).expect("RTP");
        assert_eq!(packet.payload, b"x");
        assert_eq!(element(&packet, 4), Some(&b"longer"[..]));
        assert_eq!(element(&packet, 1), Some(&[7, 8][..]));
        let again = insert_element(&mut room, len, 4, b"other");
        assert_eq!(again, Some(len), "it has one already");
    }

    #[test]
    fn an_element_is_taken_off_with_its_extension() {
        let (mut room, len) = packet(b"payload");
        let before = room[..len].to_vec();
        let marked = insert_element(&mut room, len, 4, b"v").expect("room");
        assert_eq!(remove_element(&mut room[..marked], 5), marked);
        assert_eq!(remove_element(&mut room[..marked], 4), len);
        assert_eq!(room[..len], before);
        let two = insert_element(&mut room, len, 1, b"w").expect("room");
        let two = insert_element(&mut room, two, 4, b"v").expect("room");
        assert_eq!(remove_element(&mut room[..two], 4), two);
        let packet = Packet::parse(&room[..two]).expect("RTP");
        assert_eq!(
            (element(&packet, 4), element(&packet, 1)),
            (None, Some(&b"w"[..]))
        );
    }

    #[test]
    fn other_extensions_stay_as_they_are() {
        let (mut room, len) = packet(&[0x10, 0, 0, 1, 4, 1, 7, 0, b'x']);
        room[0] |= HAS_EXTENSION;
        let before = room.clone();
        assert_eq!(insert_element(&mut room, len, 4, b"v"), Some(len));
        assert_eq!(room, before);
        assert_eq!(insert_element(&mut room, len, 15, b"v"), None);
        assert_eq!(insert_element(&mut room, len, 4, b""), None);
        let (mut full, len) = packet(b"payload");
        assert_eq!(insert_element(&mut full[..len + 7], len, 4, b"v"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_payloads_stay(
            mut bytes: Vec<u8>, spare in 0_usize..32, id: u8, value: Vec<u8>,
        ) {
            let len = bytes.len();
            let payload = Packet::parse(&bytes).map(|packet| packet.payload.to_vec());
            bytes.resize(len + spare, 0);
            if let Some(len) = insert_element(&mut bytes, len, id, &value) {
                let packet = Packet::parse(&bytes[..len]);
                prop_assert_eq!(packet.map(|packet| packet.payload.to_vec()), payload.clone());
                let len = remove_element(&mut bytes[..len], id);
                let packet = Packet::parse(&bytes[..len]);
                prop_assert_eq!(packet.map(|packet| packet.payload.to_vec()), payload);
            }
        }
    }
}
