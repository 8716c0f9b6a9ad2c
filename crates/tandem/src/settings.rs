//! `tandem settings`: what applies where no record says otherwise.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::records::pair;

/// What can be done with settings.
#[derive(Subcommand, Debug)]
pub(crate) enum SettingsCommand {
    /// Shows them
    Show,
    /// Changes some: limits.channels=100 ring_timeout_s=30 overflow.retry_after_s=5
    Set {
        /// The setting and its new value; null takes an optional one away
        #[arg(required = true, value_name = "SETTING=VALUE")]
        changes: Vec<String>,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: SettingsCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let current = client.read("/v1/settings", &[])?;
    let SettingsCommand::Set { changes } = command else {
        return output::object(global, &current.body);
    };
    let mut patch = json!({});
    for change in &changes {
        let (path, value) = pair(change)?;
        let slot = path.split('.').fold(&mut patch, |slot, key| &mut slot[key]);
        *slot = value_of(value);
    }
    if patch
        .get("domain")
        .is_some_and(|domain| *domain != current.body["domain"])
    {
        output::confirm(
            global,
            "A new domain makes all passwords of users, devices and customers void. Go on?",
        )?;
    }
    output::object(
        global,
        &client
            .change("/v1/settings", current.etag.as_deref(), &patch)?
            .body,
    )
}

/// A value as JSON if it is any, else as text.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json_or_text() {
        assert_eq!(value_of("30"), json!(30));
        assert_eq!(value_of("null"), Value::Null);
        assert_eq!(value_of("example.com"), json!("example.com"));
    }
}
