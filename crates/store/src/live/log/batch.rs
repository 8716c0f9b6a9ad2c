//! Changes on their way to the file, as the bytes that will stand there.

use super::codec;
use super::names::Name;
use crate::frame;
use crate::live::BindingState;

/// Frames one behind the other, oldest first.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// One frame of a batch.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Of which binding.
    pub(super) name: Name,
    /// Bytes of the frame.
    pub(super) len: u32,
    pub(super) kind: EntryKind,
}

/// What a frame says of its binding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Saved,
    Removed,
}

impl Batch {
    pub(super) fn save(&mut self, name: Name, state: &BindingState<'_>) {
        self.append(name, EntryKind::Saved, |out| {
            codec::encode_saved(state, out);
        });
    }

    pub(super) fn remove(&mut self, name: Name, aor: &str, key: &[u8]) {
        self.append(name, EntryKind::Removed, |out| {
            codec::encode_removed(aor, key, out);
        });
    }

    fn append(&mut self, name: Name, kind: EntryKind, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        frame::append(&mut self.bytes, payload);
        let len = (self.bytes.len() - start) as u32;
        self.entries.push(Entry { name, len, kind });
    }

    /// Puts younger changes behind these.
    pub(super) fn extend(&mut self, younger: &Self) {
        self.bytes.extend_from_slice(&younger.bytes);
        self.entries.extend_from_slice(&younger.entries);
    }

    /// Empties it and keeps its memory, unless that is much more than it was used for.
    pub(super) fn clear(&mut self) {
        let used = self.bytes.len();
        if self.bytes.capacity() > KEPT_BYTES && used < self.bytes.capacity() / 4 {
            *self = Self::default();
        }
        self.bytes.clear();
        self.entries.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// As much memory stays with an empty batch in any case.
const KEPT_BYTES: usize = 64 * 1_024;
