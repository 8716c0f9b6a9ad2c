//! `/v1/accounts`: tenants.

use model::{Account, AccountId};
use store::{Records, StoreError};

use crate::resource::Resource;

impl Resource for Account {
    const NOUN: &'static str = "accounts";
    const SUMMARY: &'static str = "a tenant";
    const FILTERS: &'static [&'static str] = &["name", "enabled"];

    fn account(&self, _: &dyn Records) -> Result<Option<AccountId>, StoreError> {
        Ok(Some(self.id))
    }

    fn new_id(time_ms: u64, random: u128) -> AccountId {
        AccountId::from_parts(time_ms, random)
    }
}
