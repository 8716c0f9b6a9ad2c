//! Names of bindings as numbers.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use ahash::RandomState;

/// The name of a binding.
pub(super) type Name = u128;

/// Names as 128 bits under two keys of this process: nobody outside can make two collide, for
/// nobody outside sees one.
#[derive(Clone)]
pub(super) struct NameHasher {
    low: RandomState,
    high: RandomState,
}

impl Default for NameHasher {
    fn default() -> Self {
        // Keys of the system's random source, as a `HashMap` of the standard library has them.
        let [low, high] = [0, 1].map(|_| {
            let seeds: [u64; 4] =
                core::array::from_fn(|at| std::hash::RandomState::new().hash_one(at));
            RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3])
        });
        Self { low, high }
    }
}

impl NameHasher {
    pub(super) fn hash(&self, aor: &str, key: &[u8]) -> Name {
        let name = (aor, key);
        u128::from(self.high.hash_one(name)) << 64 | u128::from(self.low.hash_one(name))
    }
}

/// A map by the hashes of names, which need no hashing again.
pub(super) type ByName<V> = HashMap<Name, V, BuildHasherDefault<NameIsHash>>;

/// The low half of a name's hash.
#[derive(Default)]
pub(super) struct NameIsHash(u64);

impl Hasher for NameIsHash {
    fn write_u128(&mut self, name: Name) {
        self.0 = name as u64;
    }

    /// Not used: names are numbers.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
