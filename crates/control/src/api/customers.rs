//! `/v1/customers`: who sends us calls.

use model::{AccountId, Customer, CustomerAuth, CustomerId};
use serde_json::Value;
use store::{Records, StoreError};

use crate::Problem;
use crate::draft::Draft;
use crate::resource::{Resource, SecretField};

impl Resource for Customer {
    const NOUN: &'static str = "customers";
    const SUMMARY: &'static str = "somebody who sends us calls";
    const FILTERS: &'static [&'static str] = &["name", "account", "auth.kind", "enabled"];
    const SECRET: Option<SecretField> = Some(SecretField {
        schema: "CustomerAuth",
        hidden: "secret",
        written: "password",
    });

    fn account(&self, _: &dyn Records) -> Result<Option<AccountId>, StoreError> {
        Ok(Some(self.account))
    }

    fn new_id(time_ms: u64, random: u128) -> CustomerId {
        CustomerId::from_parts(time_ms, random)
    }

    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        if draft
            .fields
            .get("auth")
            .is_none_or(|auth| auth["kind"] != "digest")
        {
            return Ok(());
        }
        let previous = previous.and_then(|customer| match &customer.auth {
            CustomerAuth::Digest { auth_name, secret } => Some((auth_name.as_str(), secret)),
            CustomerAuth::Address { .. } | CustomerAuth::Certificate { .. } => None,
        });
        draft.seal_digest(Some("auth"), "auth_name", previous)
    }

    fn redact(shown: &mut Value) {
        if let Some(auth) = shown["auth"].as_object_mut() {
            auth.remove("secret");
        }
    }
}
