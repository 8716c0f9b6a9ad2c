//! Results on standard output, everything else on standard error.

use std::io::{IsTerminal, Write};

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::failure::Failure;
use crate::global::{Format, Global};
use crate::moment;

/// A column of a table: its heading, and the path of the field with dots.
pub(crate) type Column = (&'static str, &'static str);

/// Prints a list.
pub(crate) fn list(global: &Global, items: &[Value], columns: &[Column]) -> Result<(), Failure> {
    match global.output {
        Format::Table => print(&table(items, columns)),
        Format::Json | Format::Yaml => whole(global, &Value::Array(items.to_vec())),
    }
}

/// Prints one object.
pub(crate) fn object(global: &Global, object: &Value) -> Result<(), Failure> {
    match global.output {
        Format::Table => print(&fields(object)),
        Format::Json | Format::Yaml => whole(global, object),
    }
}

/// Prints lines that strangers have part in: nothing of it moves the cursor or dresses up.
pub(crate) fn print_foreign(text: &str) -> Result<(), Failure> {
    print(&harmless(text))
}

fn harmless(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' | '\t' => Some(c),
        '\r' => None,
        c if c.is_control() => Some('\u{fffd}'),
        c => Some(c),
    };
    text.chars().filter_map(harmless).collect()
}

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read it has seen enough, as `head` does.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => {
            other.map_err(|e| Failure::Failed(format!("standard output cannot be written: {e}")))
        }
    }
}

/// Says something to the person, not to the program that reads the results.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Asks before something that cannot be undone. Without a person at the terminal, only `--yes`
/// is an answer.
pub(crate) fn confirm(global: &Global, question: &str) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::Usage(format!(
            "{question} This needs --yes, because nobody can be asked."
        )));
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.map_err(|e| Failure::Failed(format!("standard input cannot be read: {e}")))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".into())),
    }
}

fn whole(global: &Global, value: &Value) -> Result<(), Failure> {
    if global.output == Format::Yaml {
        let text = serde_yaml_ng::to_string(value);
        return print(&text.map_err(|e| Failure::Failed(e.to_string()))?);
    }
    print(&format!("{value:#}\n"))
}

fn table(items: &[Value], columns: &[Column]) -> String {
    let mut table = plain_table();
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for item in items {
        table.add_row(columns.iter().map(|(_, path)| cell(path, at(item, path))));
    }
    lines(&table)
}

fn fields(object: &Value) -> String {
    let mut table = plain_table();
    flatten("", object, &mut |path, value| {
        table.add_row([path.to_owned(), cell(path, value)]);
    });
    lines(&table)
}

/// Calls `each` with every field that holds no further fields.
fn flatten(path: &str, value: &Value, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, each);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, each);
            }
        }
        Value::Array(items) if path.ends_with("explanation") || path.ends_with("steps") => {
            for (index, item) in items.iter().enumerate() {
                each(&format!("{path}[{index}]"), item);
            }
        }
        value => each(path, value),
    }
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// The table without the spaces that fill its lines.
fn lines(table: &Table) -> String {
    table
        .lines()
        .fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn at<'a>(item: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .fold(item, |value, key| match key.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[key],
        })
}

fn cell(path: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        // What others sent must not reach the terminal as commands to it.
        Value::String(text) => text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
        Value::Number(number) if path.ends_with("_us") => number
            .as_u64()
            .map_or_else(|| number.to_string(), |us| time(path, us)),
        Value::Array(items) => items
            .iter()
            .map(|item| cell("", item))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

/// Microseconds for people: a moment since the epoch as RFC 3339, a short span in milliseconds.
fn time(path: &str, us: u64) -> String {
    if us < SPAN_MAX_US || path.ends_with("rtt_us") || path.ends_with("jitter_us") {
        return format!("{}.{:03} ms", us / 1_000, us % 1_000);
    }
    moment::text(us)
}

/// What is less counts as a span of time, not as a moment: one year after the epoch.
const SPAN_MAX_US: u64 = 31_536_000_000_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_strangers_send_stays_text() {
        let said = "SIP/2.0 200 \u{1b}[2J\u{9b}1m\r\nX:\ty\r\n";
        assert_eq!(harmless(said), "SIP/2.0 200 \u{fffd}[2J\u{fffd}1m\nX:\ty\n");
    }

    #[test]
    fn a_table_has_headings_and_one_line_for_each_item() {
        let items = [
            json!({ "name": "alice", "limits": { "cps": 5 }, "display_name": "" }),
            json!({ "name": "bob", "limits": { "cps": null }, "display_name": "Bob\u{1b}[2J" }),
        ];
        let columns = [
            ("NAME", "name"),
            ("CPS", "limits.cps"),
            ("DISPLAYED", "display_name"),
        ];
        assert_eq!(
            table(&items, &columns),
            " NAME   CPS  DISPLAYED\n alice  5    -\n bob    -    Bob [2J\n"
        );
    }

    #[test]
    fn an_object_is_shown_field_by_field() {
        let object =
            json!({ "id": "call_1", "legs": [{ "uri": "sip:a" }], "explanation": ["one", "two"] });
        assert_eq!(
            fields(&object),
            " explanation[0]  one\n explanation[1]  two\n id              call_1\n legs[0].uri     sip:a\n"
        );
    }

    #[test]
    fn times_are_for_people() {
        assert_eq!(
            time("start_us", 1_709_210_096_000_000),
            "2024-02-29T12:34:56Z"
        );
        assert_eq!(
            time("start_us", 1_767_225_599_999_999),
            "2025-12-31T23:59:59Z"
        );
        assert_eq!(time("rtt_us", 12_345), "12.345 ms");
    }
}
