//! `tandem draft`: changes that are prepared, looked at and made together.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output;

/// What can be done with drafts.
#[derive(Subcommand, Debug)]
pub(crate) enum DraftCommand {
    /// Lists them, those that were changed last at the front
    List,
    /// Begins one; `--draft NAME` of other commands then changes it and not what is in force
    #[command(visible_alias = "add")]
    Create {
        /// What it is called
        name: String,
    },
    /// Shows what one would change, field by field
    Show {
        /// Its name or identifier
        draft: String,
    },
    /// Decides past calls as things are and as they would be with it
    Replay {
        /// Its name or identifier
        draft: String,
        /// How many, the latest
        #[arg(long, default_value_t = 1_000)]
        calls: u64,
        /// Only those of this account, by its identifier
        #[arg(long)]
        account: Option<String>,
        /// Only those of this customer, by its identifier
        #[arg(long)]
        customer: Option<String>,
    },
    /// Takes the changes of one record out of it
    TakeOut {
        /// Its name or identifier
        draft: String,
        /// The identifier of the record
        record: String,
    },
    /// Makes all its changes at once, or none
    Apply {
        /// Its name or identifier
        draft: String,
    },
    /// Puts back what applying it has replaced
    Rollback {
        /// Its name or identifier
        draft: String,
    },
    /// Forgets one; nothing that is in force changes
    #[command(visible_alias = "remove")]
    Delete {
        /// Its name or identifier
        draft: String,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: DraftCommand) -> Result<(), Failure> {
    let client = Client::connect(global)?;
    let answer = match command {
        DraftCommand::List => {
            let answer = client.read(DRAFTS, &[])?.body;
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            let columns = [
                ("ID", "id"),
                ("NAME", "name"),
                ("STATE", "state"),
                ("RECORDS", "records"),
                ("CHANGED", "changed_us"),
                ("BY", "by"),
            ];
            return output::list(global, &items, &columns);
        }
        DraftCommand::Create { name } => client.create(DRAFTS, &json!({ "name": name }))?,
        DraftCommand::Show { draft } => client.read(&path(&client, &draft)?, &[])?,
        DraftCommand::Replay {
            draft,
            calls,
            account,
            customer,
        } => {
            let path = format!("{}/replay", path(&client, &draft)?);
            let wish = json!({ "limit": calls, "account": account, "customer": customer });
            let found = client.create(&path, &wish)?.body;
            return match global.output {
                Format::Table => output::print_foreign(&replayed(&found)),
                Format::Json | Format::Yaml => output::object(global, &found),
            };
        }
        DraftCommand::TakeOut { draft, record } => {
            let path = format!("{}/changes/{}", path(&client, &draft)?, encode(&record));
            client.delete(&path)?
        }
        DraftCommand::Apply { draft } => step(&client, &draft, "apply")?,
        DraftCommand::Rollback { draft } => step(&client, &draft, "rollback")?,
        DraftCommand::Delete { draft } => {
            client.delete(&path(&client, &draft)?)?;
            return Ok(());
        }
    };
    match global.output {
        Format::Table => output::print_foreign(&told(&answer.body)),
        Format::Json | Format::Yaml => output::object(global, &answer.body),
    }
}

fn step(client: &Client, draft: &str, step: &str) -> Result<crate::client::Reply, Failure> {
    let path = format!("{}/{step}", path(client, draft)?);
    client.ask("POST", &path, &[], None, None)
}

fn path(client: &Client, draft: &str) -> Result<String, Failure> {
    Ok(format!("{DRAFTS}/{}", find(client, draft)?))
}

/// The identifier of a draft that is named by it or by its name.
pub(crate) fn find(client: &Client, draft: &str) -> Result<String, Failure> {
    if draft.starts_with(PREFIX) {
        return Ok(encode(draft));
    }
    let answer = client.read(DRAFTS, &[])?.body;
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    let mut named = items.iter().filter(|item| item["name"] == draft);
    let missing = || Failure::Usage(format!("there is no draft {draft}: `tandem draft list`"));
    let found = named.next().ok_or_else(missing)?;
    if named.next().is_some() {
        let why = format!("several drafts are called {draft}: name one by its identifier");
        return Err(Failure::Usage(why));
    }
    Ok(found["id"].as_str().unwrap_or_default().to_owned())
}

/// What a draft changes, for people.
fn told(draft: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told = format!(
        "{} {}: {}\n",
        text(&draft["id"]),
        text(&draft["name"]),
        text(&draft["state"])
    );
    if let Some(why) = draft["refused"].as_str() {
        told += &format!("as things are it is refused: {why}\n");
    }
    for change in draft["changes"].as_array().into_iter().flatten() {
        let sign = match (&change["before"], &change["after"]) {
            (Value::Null, _) => '+',
            (_, Value::Null) => '-',
            _ => '~',
        };
        let (noun, label, record) = (&change["noun"], &change["label"], &change["record"]);
        told += &format!("{sign} {} {} ({})\n", text(noun), text(label), text(record));
        let (before, after) = (fields(&change["before"]), fields(&change["after"]));
        let all: BTreeMap<&String, ()> = before
            .keys()
            .chain(after.keys())
            .map(|key| (key, ()))
            .collect();
        for name in all.into_keys() {
            let (before, after) = (before.get(name), after.get(name));
            if before != after {
                let shown = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
                told += &format!("    {name}: {} -> {}\n", shown(before), shown(after));
            }
        }
    }
    told
}

/// What would become of past calls, for people.
fn replayed(found: &Value) -> String {
    let mut told = String::new();
    for (name, field) in COUNTS {
        if found[field] != 0 || field == "calls" || field == "same" {
            told += &format!("{:>8}  {name}\n", found[field].to_string());
        }
    }
    if found["cut_short"] == true {
        told += "time was up before all of them had been looked at\n";
    }
    for unjudged in found["unjudged"].as_array().into_iter().flatten() {
        let why = unjudged["why"].as_str().unwrap_or_default();
        told += &format!("{:>8}  not judged: {why}\n", unjudged["calls"].to_string());
    }
    for load in found["gateways"].as_array().into_iter().flatten() {
        let name = |field: &str| load[field].as_str().unwrap_or_default().to_owned();
        let (carrier, gateway) = (name("carrier_name"), name("gateway_name"));
        let (now, then) = (&load["calls"], &load["draft_calls"]);
        told += &format!("{carrier} by {gateway}: {now} calls -> {then}\n");
    }
    for call in found["differences"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let (called, id) = (text(&call["called"]), text(&call["call"]));
        let (now, then) = (text(&call["ways"][0]), text(&call["draft_ways"][0]));
        told += &format!("{id} to {called}: {now} -> {then}\n");
    }
    told
}

/// The fields of a record, nested ones with dots.
fn fields(record: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), record)];
    while let Some((within, value)) = open.pop() {
        match value {
            Value::Object(fields) => {
                let name = |name: &str| match within.is_empty() {
                    true => name.to_owned(),
                    false => format!("{within}.{name}"),
                };
                open.extend(fields.iter().map(|(key, value)| (name(key), value)));
            }
            Value::Null => {}
            other => {
                found.insert(within, other.clone());
            }
        }
    }
    found
}

/// Where they are.
pub(crate) const DRAFTS: &str = "/v1/drafts";
/// What identifiers of drafts begin with.
const PREFIX: &str = "dft_";
/// What a replay counts, in words.
const COUNTS: [(&str, &str); 7] = [
    ("calls were looked at", "calls"),
    ("as before", "same"),
    ("elsewhere if the first attempt fails", "other_fallback"),
    ("elsewhere, or as another number", "elsewhere"),
    ("refused and were not", "now_refused"),
    ("let through and were not", "now_admitted"),
    ("not as recorded, even as things are", "not_as_recorded"),
];
