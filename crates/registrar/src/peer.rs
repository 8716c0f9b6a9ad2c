//! The other nodes of a cluster, by numbers.

use core::num::NonZeroU16;

/// Another node, by a number that the owner of the registrar gives it and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(NonZeroU16);

impl PeerId {
    /// The node of this place in a list; `None` if the list is too long.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        let number = u16::try_from(index + 1).ok()?;
        NonZeroU16::new(number).map(Self)
    }

    /// Its place in the list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}
