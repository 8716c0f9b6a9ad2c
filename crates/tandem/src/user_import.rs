//! `tandem user import`: many users from a file of comma separated values.

use std::fs::File;
use std::io::Read;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::account::ACCOUNT;
use crate::client::Client;
use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::output;
use crate::records::{adopt, id_of};
use crate::user::USER;

/// Which users, and how.
#[derive(Args, Debug)]
pub(crate) struct ImportFlags {
    /// A CSV file, or - for standard input. Its first line names the fields: name, password,
    /// account, display_name, caller_number, enabled, contacts_max, forking, ring_timeout_s
    #[arg(value_name = "FILE.csv|-")]
    file: String,
    /// Makes the good ones even if others are bad
    #[arg(long)]
    skip_bad: bool,
}

/// The users of a file, and the line each stands in.
struct Table {
    users: Vec<Map<String, Value>>,
    lines: Vec<u64>,
}

/// Makes them, in one change.
pub(crate) fn run(global: &Global, flags: &ImportFlags) -> Result<(), Failure> {
    let client = Client::of(global)?;
    let mut table = match flags.file.as_str() {
        "-" => read(std::io::stdin().lock())?,
        path => read(File::open(path).map_err(|e| unreadable(path, &e))?)?,
    };
    name_accounts(&client, &mut table)?;
    let bad = if flags.skip_bad { "skip" } else { "refuse" };
    let batch = json!({ "users": table.users, "bad": bad });
    let report = match client.create("/v1/users:batch", &batch) {
        Ok(reply) => reply.body,
        Err(Failure::Usage(words)) => return Err(Failure::Usage(by_line(&words, &table.lines))),
        Err(other) => return Err(other),
    };
    if global.output != Format::Table {
        return output::object(global, &report);
    }
    let made = report["users"].as_array().map_or(0, Vec::len);
    for error in report["errors"].as_array().into_iter().flatten() {
        let text = |key: &str| error[key].as_str().unwrap_or("?");
        let words = format!("{}: {}", text("field"), text("message"));
        output::say(&by_line(&words, &table.lines));
    }
    output::say(&format!("{made} users are made"));
    passwords(&report)
}

/// The passwords that were made, as CSV again: they are shown only now.
fn passwords(report: &Value) -> Result<(), Failure> {
    let mut out = String::new();
    for user in report["users"].as_array().into_iter().flatten() {
        if let (Some(name), Some(password)) = (user["name"].as_str(), user["password"].as_str()) {
            out.push_str(&format!("{name},{password}\n"));
        }
    }
    if out.is_empty() {
        return Ok(());
    }
    output::print(&format!("name,password\n{out}"))
}

fn read(source: impl Read) -> Result<Table, Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(source);
    let broken = |e: csv::Error| Failure::Usage(format!("the file cannot be read: {e}"));
    let fields = reader.headers().map_err(broken)?.clone();
    let mut table = Table {
        users: Vec::new(),
        lines: Vec::new(),
    };
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let cells = fields.iter().zip(&row).filter(|(_, cell)| !cell.is_empty());
        let user = cells.map(|(field, cell)| (field.to_owned(), value(field, cell)));
        table.users.push(user.collect());
        table
            .lines
            .push(row.position().map_or(0, csv::Position::line));
    }
    if table.users.is_empty() {
        return Err(Failure::Usage(
            "there is no user in the file; its first line names the fields".into(),
        ));
    }
    Ok(table)
}

/// A cell as the API wants it: numbers and truth values where a field takes them.
fn value(field: &str, cell: &str) -> Value {
    let number = || {
        cell.parse::<u64>()
            .map_or_else(|_| json!(cell), |n| json!(n))
    };
    match field {
        "contacts_max" | "ring_timeout_s" => number(),
        "enabled" => match cell {
            "true" | "yes" | "1" => json!(true),
            "false" | "no" | "0" => json!(false),
            other => json!(other),
        },
        _ => json!(cell),
    }
}

/// Accounts by identifier, of which few differ; the only one there is where none is named.
fn name_accounts(client: &Client, table: &mut Table) -> Result<(), Failure> {
    let mut known: Vec<(String, String)> = Vec::new();
    let mut only: Option<Value> = None;
    for user in &mut table.users {
        let named = user
            .get("account")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let id = match (&named, &only) {
            (None, Some(only)) => only.clone(),
            (None, None) => {
                adopt(client, &USER, user)?;
                only = user.get("account").cloned();
                continue;
            }
            (Some(name), _) => match known.iter().find(|(known, _)| known == name) {
                Some((_, id)) => json!(id),
                None => {
                    let id = id_of(client, &ACCOUNT, name)?;
                    known.push((name.clone(), id.clone()));
                    json!(id)
                }
            },
        };
        user.insert("account".into(), id);
    }
    Ok(())
}

/// The API counts users from 0; people count lines.
fn by_line(words: &str, lines: &[u64]) -> String {
    let mut out = String::with_capacity(words.len());
    let mut rest = words;
    while let Some((before, after)) = rest.split_once("users[") {
        out.push_str(before);
        let place = after.split_once(']');
        let line = place.and_then(|(place, _)| lines.get(place.parse::<usize>().ok()?));
        match (line, place) {
            (Some(line), Some((_, after))) => {
                out.push_str(&format!("line {line}"));
                rest = match after.strip_prefix('.') {
                    Some(field) => {
                        out.push_str(": ");
                        field
                    }
                    None => after,
                };
            }
            _ => {
                out.push_str("users[");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn unreadable(path: &str, error: &std::io::Error) -> Failure {
    Failure::Usage(format!("{path} cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_fields_and_lines_are_remembered() {
        let text = "name, display_name ,enabled,contacts_max\n\
                    alice,\"A, \"\"x\"\"\nB\",no,3\nbob,,,\n";
        let table = read(text.as_bytes()).unwrap();
        assert_eq!(
            json!(table.users),
            json!([
                { "name": "alice", "display_name": "A, \"x\"\nB", "enabled": false, "contacts_max": 3 },
                { "name": "bob" },
            ])
        );
        assert_eq!(table.lines, [2, 4]);
    }

    #[test]
    fn a_file_without_users_is_refused() {
        for text in ["", "name,password\n"] {
            assert_eq!(read(text.as_bytes()).err().unwrap().exit_code(), 2);
        }
    }

    #[test]
    fn complaints_name_lines() {
        let words = "Some fields: no user was made\n  users[1].name: taken\n  users[9].x: y";
        assert_eq!(
            by_line(words, &[2, 5]),
            "Some fields: no user was made\n  line 5: name: taken\n  users[9].x: y"
        );
    }
}
