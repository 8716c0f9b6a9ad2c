//! `tandem task`: what was begun and takes a while.

use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// What can be done with tasks.
#[derive(Subcommand, Debug)]
pub(crate) enum TaskCommand {
    /// Lists the last ones
    List,
    /// Shows one, with its steps and its log
    Show {
        /// Its identifier
        task: String,
        /// Waits until it has ended
        #[arg(long)]
        wait: bool,
    },
    /// Cancels one that still waits for calls to end; its server takes calls again
    Cancel {
        /// Its identifier
        task: String,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, command: TaskCommand) -> Result<(), Failure> {
    let client = Client::of(global)?;
    match command {
        TaskCommand::List => {
            let answer = client.read("/v1/tasks", &[])?.body;
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            let columns = [
                ("ID", "id"),
                ("WHAT", "title"),
                ("STATE", "state"),
                ("CALLS LEFT", "calls_left"),
                ("BEGAN", "created_us"),
                ("ENDED", "ended_us"),
                ("BY", "actor"),
            ];
            output::list(global, &items, &columns)
        }
        TaskCommand::Show { task, wait } => {
            let found = client.read(&path(&task), &[])?.body;
            match wait {
                true => self::wait(global, &client, &found),
                false => output::object(global, &found),
            }
        }
        TaskCommand::Cancel { task } => {
            let path = format!("{}/cancel", path(&task));
            let cancelled = client.ask("POST", &path, &[], None, None)?.body;
            output::object(global, &cancelled)
        }
    }
}

/// Tells of each change until a task has ended, and shows it then; one that could not do what it was
/// to do is a failure.
pub(crate) fn wait(global: &Global, client: &Client, task: &Value) -> Result<(), Failure> {
    let path = path(task["id"].as_str().unwrap_or_default());
    let (mut told, mut left) = (0, Value::Null);
    loop {
        let task = client.read(&path, &[])?.body;
        let lines = task["log"].as_array().cloned().unwrap_or_default();
        for line in lines.iter().skip(told) {
            output::say(line["text"].as_str().unwrap_or_default());
        }
        told = lines.len();
        if task["calls_left"] != left {
            left = task["calls_left"].clone();
            output::say(&format!("{left} calls left"));
        }
        match task["state"].as_str() {
            Some("running") => std::thread::sleep(LOOK),
            Some("done") => return output::object(global, &task),
            state => {
                let state = state.unwrap_or("lost");
                return Err(Failure::Failed(format!("the task is {state}")));
            }
        }
    }
}

fn path(id: &str) -> String {
    format!("/v1/tasks/{}", encode(id))
}

/// Between two looks at a task.
const LOOK: Duration = Duration::from_millis(250);
