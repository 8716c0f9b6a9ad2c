//! What every adapter of a port must do, as functions over a fresh store of it.
//!
//! Each panics at the first thing that is not as the port says. [`Faulty`] wraps a store so
//! that calls fail in a seeded pattern; a suite passes over a wrapped store too, because a call
//! that failed is repeated, as users of a port do.

#![expect(clippy::unwrap_used, reason = "a suite fails by panicking")]

pub mod cdrs;
mod faulty;
pub mod history;
pub mod leases;
pub mod live;
pub mod locations;
mod many;
pub mod permits;
pub mod records;
pub mod samples;
pub mod zones;

pub use self::faulty::Faulty;
use crate::StoreError;

/// Repeats a call until it is not `Unavailable`.
fn persist<T>(mut call: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 0..ATTEMPTS_MAX {
        match call() {
            Err(StoreError::Unavailable(_)) => {}
            outcome => return outcome,
        }
    }
    panic!("the store was unavailable {ATTEMPTS_MAX} times in a row");
}

/// More failures in a row than [`Faulty`] makes.
const ATTEMPTS_MAX: usize = 100;
