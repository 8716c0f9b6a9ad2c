//! `/v1/carriers`: whom we send calls to.

use model::{Carrier, CarrierId};

use crate::resource::Resource;

impl Resource for Carrier {
    const NOUN: &'static str = "carriers";
    const SUMMARY: &'static str = "somebody we send calls to";
    const FILTERS: &'static [&'static str] = &["name", "account", "enabled"];

    fn new_id(time_ms: u64, random: u128) -> CarrierId {
        CarrierId::from_parts(time_ms, random)
    }
}
