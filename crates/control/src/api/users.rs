//! `/v1/users`: who registers devices and is called by name.

use model::{AccountId, User, UserId};
use serde_json::Value;
use store::{Records, StoreError};

use crate::Problem;
use crate::draft::Draft;
use crate::resource::{Resource, SecretField};

impl Resource for User {
    const NOUN: &'static str = "users";
    const SUMMARY: &'static str = "somebody who registers devices";
    const FILTERS: &'static [&'static str] = &["name", "account", "caller_number", "enabled"];
    const SECRET: Option<SecretField> = Some(SecretField {
        schema: "User",
        hidden: "secret",
        written: "password",
    });

    const OWNED: bool = true;

    fn account(&self, _: &dyn Records) -> Result<Option<AccountId>, StoreError> {
        Ok(Some(self.account))
    }

    fn new_id(time_ms: u64, random: u128) -> UserId {
        UserId::from_parts(time_ms, random)
    }

    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        let previous = previous.map(|user| (user.name.as_str(), &user.secret));
        draft.seal_digest(None, "name", previous)
    }

    fn redact(shown: &mut Value) {
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("secret");
        }
    }
}
