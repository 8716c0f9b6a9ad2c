//! `/v1/numbers`: what carriers and customers can call.

use model::{AccountId, Number, NumberId};
use store::{Records, StoreError};

use crate::resource::Resource;

impl Resource for Number {
    const NOUN: &'static str = "numbers";
    const SUMMARY: &'static str = "a number (DID)";
    const FILTERS: &'static [&'static str] = &[
        "number",
        "account",
        "target.user",
        "target.customer",
        "enabled",
    ];

    fn account(&self, _: &dyn Records) -> Result<Option<AccountId>, StoreError> {
        Ok(Some(self.account))
    }

    fn new_id(time_ms: u64, random: u128) -> NumberId {
        NumberId::from_parts(time_ms, random)
    }
}
