//! What of a record may stand in the audit log.

use serde_json::Value;

/// A record's body without its secrets. That a secret was changed can still be seen: by the
/// entry itself.
pub(crate) fn redacted(mut body: Value) -> Value {
    redact(&mut body);
    body
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if SECRETS.contains(&name.as_str()) && !field.is_null() {
                    *field = Value::from(HIDDEN);
                } else {
                    redact(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

/// Fields that hold a secret, in any record.
const SECRETS: [&str; 4] = ["secret", "password", "password_hash", "recovery"];
/// What stands there instead.
const HIDDEN: &str = "(hidden)";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_at_any_depth() {
        let body = json!({
            "name": "a",
            "secret": {"md5": "0", "sha256": "1"},
            "auth": {"username": "u", "password": "p"},
            "list": [{"password": "q"}],
        });
        let shown = redacted(body);
        assert_eq!(shown["name"], "a");
        assert_eq!(shown["auth"]["username"], "u");
        for hidden in [
            &shown["secret"],
            &shown["auth"]["password"],
            &shown["list"][0]["password"],
        ] {
            assert_eq!(*hidden, HIDDEN);
        }
    }
}
