//! From what a client sent to a record: secrets sealed, identifier set, typos found.

use model::{DigestSecret, FieldError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::extract::misfit;
use crate::secret::{digest_secret, generate_password};
use crate::{Problem, Vault, problem};

/// A record as a client wants it, before secrets and identifier are in it.
pub(crate) struct Draft<'a> {
    /// The fields as sent.
    pub(crate) fields: Map<String, Value>,
    /// A password that was made because none was given: shown once.
    pub(crate) generated: Option<String>,
    domain: &'a str,
    /// What seals secrets that must be read again, and whose they are.
    vault: Option<(&'a Vault, String)>,
}

impl<'a> Draft<'a> {
    /// A draft of these fields; `domain` is the digest realm.
    pub(crate) fn new(fields: Map<String, Value>, domain: &'a str) -> Self {
        Self {
            fields,
            generated: None,
            domain,
            vault: None,
        }
    }

    /// Secrets of a record of this identifier can be sealed in `vault`.
    pub(crate) fn with_vault(self, vault: &'a Vault, id: &impl ToString) -> Self {
        Self {
            vault: Some((vault, id.to_string())),
            ..self
        }
    }

    /// Seals a secret that must be read again.
    pub(crate) fn seal(&self, secret: &[u8]) -> Result<String, Problem> {
        let (vault, id) = self.vault.as_ref().ok_or_else(no_vault)?;
        let sealed = vault.seal(id, secret);
        sealed.map_err(|error| Problem::unavailable(error.to_string()))
    }

    /// Opens what was sealed before.
    pub(crate) fn open(&self, sealed: &str) -> Result<String, Problem> {
        let (vault, id) = self.vault.as_ref().ok_or_else(no_vault)?;
        let opened = vault.open(id, sealed);
        let opened = opened.map_err(|error| Problem::unavailable(error.to_string()))?;
        String::from_utf8(opened).map_err(|error| Problem::unavailable(error.to_string()))
    }

    /// Replaces `password` by the digest `secret`, in the draft itself or in its part `within`.
    /// `name_field` is the digest user name; `previous` are name and secret as they are.
    ///
    /// Without a password the secret stays; where there is none yet, a password is made.
    pub(crate) fn seal_digest(
        &mut self,
        within: Option<&str>,
        name_field: &str,
        previous: Option<(&str, &DigestSecret)>,
    ) -> Result<(), Problem> {
        let path =
            |field: &str| within.map_or_else(|| field.to_owned(), |w| format!("{w}.{field}"));
        let fields = match within {
            None => &mut self.fields,
            Some(part) => match self.fields.get_mut(part).and_then(Value::as_object_mut) {
                Some(fields) => fields,
                // Whatever it is, it does not become a record.
                None => return Ok(()),
            },
        };
        if fields.contains_key("secret") {
            return Err(Problem::invalid_field(
                path("secret"),
                "there is no such field; send password",
            ));
        }
        let name = fields
            .get(name_field)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        let secret = match (fields.remove("password"), previous) {
            (Some(Value::String(password)), _) => {
                check_password(&path("password"), &password)?;
                digest_secret(&name, self.domain, &password)
            }
            (Some(Value::Null) | None, Some((previous_name, secret))) => {
                if previous_name != name {
                    let message =
                        format!("a new one is needed, because {} changes", path(name_field));
                    return Err(Problem::invalid_field(path("password"), message));
                }
                secret.clone()
            }
            (Some(Value::Null) | None, None) => {
                let password =
                    generate_password().map_err(|e| Problem::unavailable(e.to_string()))?;
                let secret = digest_secret(&name, self.domain, &password);
                self.generated = Some(password);
                secret
            }
            (Some(_), _) => {
                return Err(Problem::malformed_field(
                    path("password"),
                    "text is accepted",
                ));
            }
        };
        fields.insert("secret".into(), json!(secret));
        Ok(())
    }
}

fn no_vault() -> Problem {
    Problem::new(&problem::INTERNAL, "nothing can be sealed here")
}

fn check_password(field: &str, password: &str) -> Result<(), Problem> {
    let long_enough = (PASSWORD_MIN..=PASSWORD_MAX).contains(&password.chars().count());
    if long_enough && !password.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!(
        "{PASSWORD_MIN} to {PASSWORD_MAX} characters are accepted, none of them a control character"
    );
    Err(Problem::invalid_field(field, message))
}

/// Makes the record, and complains about fields that are none.
pub(crate) fn finish<R: Serialize + DeserializeOwned>(
    mut fields: Map<String, Value>,
    id: &str,
) -> Result<R, Problem> {
    fields.insert("id".into(), json!(id));
    let mut sent = Value::Object(fields);
    write_whole_numbers(&mut sent);
    let record: R = parse(&sent)?;
    refuse_unknown(&sent, &record)?;
    Ok(record)
}

/// Takes 30.0 for 30: JSON has one kind of number, and JSON Schema calls both integers.
pub(crate) fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|n| n.fract() == 0.0);
            if let Some(n) = whole.filter(|n| n.abs() <= WHOLE_MAX) {
                *value = json!(n as i64);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(write_whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers),
        _ => {}
    }
}

/// Reads a value of JSON as a `T`; the refusal names the field.
pub(crate) fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|e| misfit(&e))
}

/// Complains about fields that were sent but are not in what was read. All fields of a record
/// are always in its JSON, so what is not there is not known.
pub(crate) fn refuse_unknown(sent: &Value, read: &impl Serialize) -> Result<(), Problem> {
    let known =
        serde_json::to_value(read).map_err(|e| Problem::new(&problem::INTERNAL, e.to_string()))?;
    let mut errors = Vec::new();
    collect_unknown("", sent, &known, &mut errors);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

fn collect_unknown(path: &str, sent: &Value, known: &Value, errors: &mut Vec<FieldError>) {
    let (Value::Object(sent), Value::Object(known)) = (sent, known) else {
        return;
    };
    for (key, value) in sent {
        let field = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match known.get(key) {
            Some(known) => collect_unknown(&field, value, known, errors),
            // Null is what a field of another kind of the same part is, which a patch takes away.
            None if value.is_null() && !path.is_empty() => {}
            None => errors.push(FieldError {
                field,
                message: "there is no such field".into(),
            }),
        }
    }
}

/// Applies a JSON merge patch, RFC 7396 §2.
pub(crate) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(fields) = target {
        for (key, value) in patch {
            if value.is_null() {
                fields.remove(&key);
            } else {
                merge(fields.entry(key).or_insert(Value::Null), value);
            }
        }
    }
}

/// Up to here a floating-point number is exactly one integer (RFC 8259 §6).
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;
/// Characters of a password. The lower bound is what keeps guessing at the rate SIP allows
/// hopeless, not what a stolen hash would need.
const PASSWORD_MIN: usize = 8;
const PASSWORD_MAX: usize = 128;
