//! Changes of bindings as bytes.

use crate::live::{BindingRecord, BindingState};

/// What a payload says.
pub(super) enum Change {
    Save(BindingRecord),
    Remove { aor: String, key: Vec<u8> },
}

/// Appends the bytes of a saved binding.
pub(super) fn encode_saved(state: &BindingState<'_>, out: &mut Vec<u8>) {
    out.push(SAVE);
    put(state.aor.as_bytes(), out);
    put(state.key, out);
    out.extend_from_slice(&state.expires_us.to_le_bytes());
    out.extend_from_slice(state.body);
}

/// Appends the bytes of a binding's end.
pub(super) fn encode_removed(aor: &str, key: &[u8], out: &mut Vec<u8>) {
    out.push(REMOVE);
    put(aor.as_bytes(), out);
    put(key, out);
}

/// The change in a payload; `None` if it is none that this program writes.
pub(super) fn decode(payload: &[u8]) -> Option<Change> {
    let (&tag, rest) = payload.split_first()?;
    let (aor, rest) = take(rest)?;
    let (key, rest) = take(rest)?;
    let (aor, key) = (String::from_utf8(aor.to_vec()).ok()?, key.to_vec());
    match tag {
        SAVE => {
            let (expires, body) = rest.split_first_chunk()?;
            let expires_us = u64::from_le_bytes(*expires);
            Some(Change::Save(BindingRecord {
                aor,
                key,
                expires_us,
                body: body.to_vec(),
            }))
        }
        REMOVE if rest.is_empty() => Some(Change::Remove { aor, key }),
        _ => None,
    }
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

const SAVE: u8 = 1;
const REMOVE: u8 = 2;
/// Name and body of a binding together, in bytes. A larger one is not stored, which the next
/// flush reports; it lives as long as the process.
pub(super) const PAYLOAD_MAX: usize = 128 * 1_024;
