//! Commands that are alike for all records: list, show, create, update, delete.
//!
//! A noun's file describes its fields as flags and its columns; the rest is here. Wherever a
//! record is asked for, its name does as well as its identifier.

use std::io::Read;
use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output::{self, Column};

/// A kind of record.
pub(crate) struct Noun {
    /// `user`.
    pub(crate) singular: &'static str,
    /// `users`, the noun of the path.
    pub(crate) plural: &'static str,
    /// What its identifiers begin with: `usr_`.
    pub(crate) prefix: &'static str,
    /// The field that people call it by.
    pub(crate) label: &'static str,
    /// Columns of its list.
    pub(crate) columns: &'static [Column],
    /// Fields that name other records, nested ones with dots.
    pub(crate) references: &'static [(&'static str, &'static Noun)],
    /// A reference that, left out of a new record, becomes the only record there is.
    pub(crate) owner: Option<(&'static str, &'static Noun)>,
}

/// The fields of a kind of record, as flags.
pub(crate) trait Fields: Args + Serialize {
    /// Which kind.
    const NOUN: &'static Noun;

    /// Adds what flags say in another form than the API.
    fn complete(&self, body: &mut Map<String, Value>) {
        let _ = body;
    }

    /// Adds to records, as people are shown them, how they are at this moment.
    fn attend(client: &Client, records: &mut [Value]) -> Result<(), Failure> {
        let _ = (client, records);
        Ok(())
    }

    /// Adds to a new record what follows from its other fields.
    fn default_fields(&self, body: &mut Map<String, Value>) {
        let _ = body;
    }
}

/// What can be done with records.
#[derive(Subcommand, Debug)]
pub(crate) enum RecordCommand<F: Args> {
    /// Lists them
    List {
        /// Only those in which a field is exactly so
        #[arg(long, value_name = "FIELD=VALUE")]
        filter: Vec<String>,
        /// How many at most
        #[arg(long, default_value_t = LIST_LIMIT)]
        limit: usize,
    },
    /// Shows one with all its fields
    Show {
        /// Its name or identifier
        record: String,
    },
    /// Makes one
    #[command(visible_alias = "add")]
    Create {
        /// What it is called
        label: Option<String>,
        #[command(flatten)]
        fields: F,
        /// Its fields as JSON, from a file or - for standard input; flags go before it
        #[arg(long, value_name = "FILE|-")]
        json: Option<String>,
    },
    /// Changes some of its fields; an empty value takes an optional one away
    Update {
        /// Its name or identifier
        // A field of a record may be called "record".
        #[arg(id = "existing", value_name = "RECORD")]
        record: String,
        #[command(flatten)]
        fields: F,
        /// The fields as JSON, from a file or - for standard input; flags go before it
        #[arg(long, value_name = "FILE|-")]
        json: Option<String>,
    },
    /// Deletes some
    #[command(visible_alias = "remove")]
    Delete {
        /// Their names or identifiers
        #[arg(required = true)]
        records: Vec<String>,
    },
}

/// Does it.
pub(crate) fn run<F: Fields>(global: &Global, command: RecordCommand<F>) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let noun = F::NOUN;
    match command {
        RecordCommand::List { filter, limit } => {
            let query: Vec<(&str, &str)> =
                filter.iter().map(|f| pair(f)).collect::<Result<_, _>>()?;
            let mut items = pages(&client, &format!("/v1/{}", noun.plural), &query, limit)?;
            // Programs get records as they are stored.
            if global.output == Format::Table {
                F::attend(&client, &mut items)?;
            }
            output::list(global, &items, noun.columns)
        }
        RecordCommand::Show { record } => {
            let path = path_of(&client, noun, &record)?;
            let mut record = client.read(&path, &[])?.body;
            if global.output == Format::Table {
                F::attend(&client, std::slice::from_mut(&mut record))?;
            }
            output::object(global, &record)
        }
        RecordCommand::Create {
            label,
            fields,
            json,
        } => {
            let mut body = body(&client, &fields, json.as_deref())?;
            if let Some(label) = label {
                body.insert(noun.label.into(), json!(label));
            }
            fields.default_fields(&mut body);
            adopt(&client, noun, &mut body)?;
            let created = client
                .create(&format!("/v1/{}", noun.plural), &Value::Object(body))?
                .body;
            stored(global, &created)
        }
        RecordCommand::Update {
            record,
            fields,
            json,
        } => {
            let mut patch = Value::Object(body(&client, &fields, json.as_deref())?);
            if patch == json!({}) {
                return Err(Failure::Usage(
                    "nothing is to be changed: give at least one field".into(),
                ));
            }
            empty_to_null(&mut patch);
            let path = path_of(&client, noun, &record)?;
            let etag = client.read(&path, &[])?.etag;
            stored(global, &client.change(&path, etag.as_deref(), &patch)?.body)
        }
        RecordCommand::Delete { records } => delete(global, &client, noun, &records),
    }
}

/// Prints a record as it was stored, with the password if one was made for it.
fn stored(global: &Global, record: &Value) -> Result<(), Failure> {
    if record.get("password").is_some() {
        output::say("The password was made for you and is shown only now.");
    }
    output::object(global, record)
}

fn delete(
    global: &Global,
    client: &Client,
    noun: &Noun,
    records: &[String],
) -> Result<(), Failure> {
    let paths: Vec<String> = records
        .iter()
        .map(|r| path_of(client, noun, r))
        .collect::<Result<_, _>>()?;
    output::confirm(
        global,
        &format!("Delete {} {}?", noun.singular, records.join(", ")),
    )?;
    for (path, record) in paths.iter().zip(records) {
        client.delete(path)?;
        output::say(&format!("{} {record} is deleted", noun.singular));
    }
    Ok(())
}

/// All items of a list, at most `limit`.
pub(crate) fn pages(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    limit: usize,
) -> Result<Vec<Value>, Failure> {
    pages_with(client, path, query, limit, |_| ControlFlow::Continue(()))
}

/// The same; each page is shown to somebody first, because there is more to it than its items, who
/// may end it there.
pub(crate) fn pages_with(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    limit: usize,
    mut look: impl FnMut(&Value) -> ControlFlow<()>,
) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page_limit = (limit - items.len()).clamp(1, PAGE_MAX).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &page_limit));
        if !cursor.is_empty() {
            query.push(("cursor", &cursor));
        }
        let mut page = client.read(path, &query)?.body;
        let seen = look(&page);
        if let Some(more) = page["items"].as_array_mut() {
            items.append(more);
        }
        match page["next_cursor"].as_str() {
            Some(_) if items.len() >= limit => {
                output::say(&format!("There are more than {limit}; --limit shows more."));
                return Ok(items);
            }
            Some(next) if seen.is_continue() => cursor = next.to_owned(),
            _ => return Ok(items),
        }
    }
}

/// The identifier of the record that a person names.
pub(crate) fn id_of(client: &Client, noun: &Noun, text: &str) -> Result<String, Failure> {
    if text.starts_with(noun.prefix) && text.len() == noun.prefix.len() + ULID_LEN {
        return Ok(text.to_owned());
    }
    let query = [(noun.label, text), ("limit", "2")];
    let found = client.read(&format!("/v1/{}", noun.plural), &query)?.body;
    match found["items"].as_array().map(Vec::as_slice) {
        Some([one]) => Ok(one["id"].as_str().unwrap_or(text).to_owned()),
        Some([_, _, ..]) => Err(Failure::Usage(format!(
            "there are several: give the identifier of the {} {text} that is meant",
            noun.singular
        ))),
        _ => Err(Failure::NotFound(format!(
            "there is no {} {text}",
            noun.singular
        ))),
    }
}

/// The path of the record that a person names.
pub(crate) fn path_of(client: &Client, noun: &Noun, record: &str) -> Result<String, Failure> {
    Ok(format!(
        "/v1/{}/{}",
        noun.plural,
        id_of(client, noun, record)?
    ))
}

/// The body that flags and `--json` make, with identifiers for names.
fn body<F: Fields>(
    client: &Client,
    fields: &F,
    json: Option<&str>,
) -> Result<Map<String, Value>, Failure> {
    let mut body = match json.map(read_json).transpose()? {
        None => Map::new(),
        Some(Value::Object(body)) => body,
        Some(_) => return Err(Failure::Usage("--json: an object is wanted".into())),
    };
    let flags = serde_json::to_value(fields).map_err(|e| Failure::Failed(e.to_string()))?;
    if let Value::Object(flags) = flags {
        body.extend(
            flags
                .into_iter()
                .filter(|(_, value)| !value.is_null() && *value != json!({})),
        );
    }
    fields.complete(&mut body);
    for (field, noun) in F::NOUN.references {
        let mut parts = field.split('.');
        let slot = parts.next().and_then(|first| body.get_mut(first));
        let slot = parts.fold(slot, |slot, part| {
            slot.and_then(|value| value.get_mut(part))
        });
        match slot {
            Some(Value::String(text)) if !text.is_empty() => *text = id_of(client, noun, text)?,
            Some(Value::Array(items)) => {
                // An empty one alone stands for none.
                items.retain(|item| item != "");
                for item in items {
                    if let Value::String(text) = item {
                        *text = id_of(client, noun, text)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(body)
}

/// Gives a new record the only owner there is, if none was named.
pub(crate) fn adopt(
    client: &Client,
    noun: &Noun,
    body: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let Some((field, owner)) = noun.owner.filter(|(field, _)| !body.contains_key(*field)) else {
        return Ok(());
    };
    let found = client
        .read(&format!("/v1/{}", owner.plural), &[("limit", "2")])?
        .body;
    match found["items"].as_array().map(Vec::as_slice) {
        Some([only]) => {
            body.insert(field.into(), only["id"].clone());
            Ok(())
        }
        Some([]) | None => Err(Failure::Usage(format!(
            "there is no {0} yet: make one with `tandem {0} create`",
            owner.singular
        ))),
        Some(_) => Err(Failure::Usage(format!(
            "there are several {}: name one with --{field}",
            owner.plural
        ))),
    }
}

/// JSON from a file, or from standard input for `-`.
pub(crate) fn read_json(from: &str) -> Result<Value, Failure> {
    let mut text = String::new();
    let read = match from {
        "-" => std::io::stdin().read_to_string(&mut text),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|e| Failure::Usage(format!("{from} cannot be read: {e}")))?;
    serde_json::from_str(&text).map_err(|e| Failure::Usage(format!("{from} is not JSON: {e}")))
}

/// `field=value` in two.
pub(crate) fn pair(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=')
        .ok_or_else(|| Failure::Usage(format!("{text}: field=value is wanted")))
}

/// In a merge patch, null takes a field away (RFC 7396). A prefix may be empty and stays.
fn empty_to_null(patch: &mut Value) {
    for (name, value) in patch.as_object_mut().into_iter().flatten() {
        if *value == json!("") && name != "prefix" {
            *value = Value::Null;
        }
        empty_to_null(value);
    }
}

/// Items of a list, if nothing else is asked for.
pub(crate) const LIST_LIMIT: usize = 100;
/// Items that the API puts on one page.
const PAGE_MAX: usize = 500;
/// Characters of a ULID.
const ULID_LEN: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_takes_a_field_away_except_for_a_prefix() {
        let mut patch =
            json!({ "caller_number": "", "prefix": "", "rewrite": { "prepend": "" }, "name": "a" });
        empty_to_null(&mut patch);
        assert_eq!(
            patch,
            json!({ "caller_number": null, "prefix": "", "rewrite": { "prepend": null }, "name": "a" })
        );
    }

    #[test]
    fn a_filter_needs_an_equals_sign() {
        assert_eq!(pair("name=a=b").unwrap(), ("name", "a=b"));
        assert_eq!(pair("name").unwrap_err().exit_code(), 2);
    }
}
