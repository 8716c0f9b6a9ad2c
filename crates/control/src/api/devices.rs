//! `/v1/devices`: devices with secrets of their own.

use model::{AccountId, Device, DeviceId, User};
use serde_json::Value;
use store::{Records, StoreError};

use crate::Problem;
use crate::draft::Draft;
use crate::resource::{Resource, SecretField};

impl Resource for Device {
    const NOUN: &'static str = "devices";
    const SUMMARY: &'static str = "a device of a user";
    const FILTERS: &'static [&'static str] = &["name", "auth_name", "user", "enabled"];
    const SECRET: Option<SecretField> = Some(SecretField {
        schema: "Device",
        hidden: "secret",
        written: "password",
    });

    /// That of its user; a user that is not there is complained about elsewhere.
    fn account(&self, records: &dyn Records) -> Result<Option<AccountId>, StoreError> {
        match records.read::<User>(self.user) {
            Ok(user) => Ok(Some(user.record.account)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn new_id(time_ms: u64, random: u128) -> DeviceId {
        DeviceId::from_parts(time_ms, random)
    }

    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        let previous = previous.map(|device| (device.auth_name.as_str(), &device.secret));
        draft.seal_digest(None, "auth_name", previous)
    }

    fn redact(shown: &mut Value) {
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("secret");
        }
    }
}
