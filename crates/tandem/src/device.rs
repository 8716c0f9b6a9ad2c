//! `tandem device`: devices with secrets of their own.

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::records::{Fields, Noun};
use crate::user::USER;

/// Fields of a device.
#[derive(Args, Serialize, Debug)]
pub(crate) struct DeviceFields {
    /// What people call it; its digest user name, if a new one gets none
    #[arg(long)]
    name: Option<String>,
    /// Its digest user name; a new password is needed to change it
    #[arg(long)]
    auth_name: Option<String>,
    /// The user it belongs to
    #[arg(long)]
    user: Option<String>,
    /// Its password; one is made and shown if a new device gets none
    #[arg(long)]
    password: Option<String>,
    /// Whether it may register and call
    #[arg(long)]
    enabled: Option<bool>,
}

impl Fields for DeviceFields {
    const NOUN: &'static Noun = &DEVICE;

    fn default_fields(&self, body: &mut Map<String, Value>) {
        if let Some(auth_name) = body.get("auth_name").cloned() {
            body.entry("name").or_insert(auth_name);
        }
    }
}

/// Devices.
pub(crate) static DEVICE: Noun = Noun {
    singular: "device",
    plural: "devices",
    prefix: "dev_",
    label: "auth_name",
    columns: &[
        ("ID", "id"),
        ("AUTH NAME", "auth_name"),
        ("NAME", "name"),
        ("USER", "user"),
        ("ENABLED", "enabled"),
    ],
    references: &[("user", &USER)],
    owner: None,
};
