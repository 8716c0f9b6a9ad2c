//! `/v1/devices`: devices with secrets of their own.

use model::{Device, DeviceId};
use serde_json::Value;

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
    });

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
