//! What an entity may use, by configuration and by lease.

use clock::Time;

/// The limits of one entity; `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// New calls in any window of one second.
    pub cps: Option<u32>,
    /// Calls in progress, set-up included.
    pub channels: Option<u32>,
}

/// The part of an entity's limit that this node may use while others use the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// New calls in any window of one second.
    pub cps: u32,
    /// Calls in progress.
    pub channels: u32,
    /// From then on it permits nothing new; `None` if it lasts until it is replaced, which is
    /// right only if the one who granted it counts it as used until then.
    pub expires: Option<Time>,
}

impl Slice {
    /// Permits nothing.
    pub const NOTHING: Self = Self {
        cps: 0,
        channels: 0,
        expires: None,
    };
}

/// What counts at one moment: the least of configuration and slice.
pub(crate) fn effective(limit: Limit, slice: Option<Slice>, now: Time) -> Limit {
    let Some(slice) = slice else {
        return limit;
    };
    let expired = slice.expires.is_some_and(|at| at <= now);
    let granted = |part: u32| if expired { 0 } else { part };
    let least = |limit: Option<u32>, part| limit.map(|limit| limit.min(granted(part)));
    Limit {
        cps: least(limit.cps, slice.cps),
        channels: least(limit.channels, slice.channels),
    }
}
