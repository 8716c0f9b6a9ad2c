//! Tasks outlive control: the store has each as it was after its last step. Those that were under way
//! are gone on with.

use std::collections::BTreeMap;
use std::time::Duration;

use model::TaskId;
use store::Ticket;

use super::{Known, TASKS_MAX, Task, TaskState, Tasks};
use crate::api::tasks::go_on;
use crate::control::now;
use crate::{Control, Problem};

/// Reads what the store has, goes on with it, and writes what changes from then on; does not end.
pub(crate) async fn keep(control: Control) {
    let mut written = loop {
        match recall(&control).await {
            Ok(written) => break written,
            Err(problem) => {
                tracing::warn!(?problem, "the tasks of before are not known yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    loop {
        control.tasks().changed.notified().await;
        for (id, task) in control.tasks().take_unwritten() {
            if let Err(problem) = write(&control, &mut written, id, task).await {
                tracing::warn!(?problem, task = %id, "a task is not stored yet");
                control.tasks().put_back(id);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// By task, the number of the version that the store has.
type Written = BTreeMap<TaskId, u64>;

async fn recall(control: &Control) -> Result<Written, Problem> {
    let own = space(control);
    let tickets = control.records(move |records| records.tickets(&own, now()));
    let mut found: BTreeMap<TaskId, (u64, Task)> = BTreeMap::new();
    for ticket in tickets.await? {
        let Some((id, version)) = read_key(&ticket.key) else {
            continue;
        };
        let Ok(task) = serde_json::from_str::<Task>(&ticket.body) else {
            tracing::warn!(task = %id, "a stored task is not understood");
            continue;
        };
        // Two versions: control ended between the writing of one and the removal of the other.
        if found.get(&id).is_none_or(|(known, _)| *known < version) {
            found.insert(id, (version, task));
        }
    }
    let written = found.iter().map(|(id, (version, _))| (*id, *version));
    let written = written.collect();
    let tasks: Vec<Task> = found.into_values().map(|(_, task)| task).collect();
    let running = tasks.iter().filter(|task| task.state == TaskState::Running);
    let running: Vec<Task> = running.cloned().collect();
    control.tasks().recall(tasks);
    for task in &running {
        go_on(control, task);
    }
    Ok(written)
}

/// Writes a task, or removes it where there is none any more. A version is there until the next one
/// is.
async fn write(
    control: &Control,
    written: &mut Written,
    id: TaskId,
    task: Option<Task>,
) -> Result<(), Problem> {
    let before = written.get(&id).copied();
    let own = space(control);
    if let Some(task) = task {
        let version = before.map_or(0, |before| before + 1);
        let body = serde_json::to_string(&task);
        let ticket = Ticket {
            space: own.clone(),
            key: key(id, version),
            ends_us: task.created_us + KEPT_US,
            body: body.map_err(|error| Problem::unavailable(error.to_string()))?,
        };
        control
            .records(move |records| records.add_ticket(&ticket, now()))
            .await?;
        written.insert(id, version);
    } else {
        written.remove(&id);
    }
    if let Some(before) = before {
        let gone = key(id, before);
        control
            .records(move |records| records.remove_ticket(&own, &gone))
            .await?;
    }
    Ok(())
}

/// Servers that share a store each have their own tasks there: nobody goes on with what another is at.
fn space(control: &Control) -> String {
    let history = control.history();
    history.map_or_else(
        || "task".into(),
        |history| format!("task of {}", history.own()),
    )
}

fn key(id: TaskId, version: u64) -> String {
    format!("{id}/{version}")
}

fn read_key(key: &str) -> Option<(TaskId, u64)> {
    let (id, version) = key.split_once('/')?;
    Some((id.parse().ok()?, version.parse().ok()?))
}

impl Tasks {
    /// Adds those of before, which are older than all that have begun since.
    fn recall(&self, before: Vec<Task>) {
        let mut known = self.known();
        let room = TASKS_MAX.saturating_sub(known.tasks.len());
        for task in before.into_iter().rev().take(room) {
            known.tasks.push_front(task);
        }
    }

    /// What is to be written; `None`: it is forgotten.
    fn take_unwritten(&self) -> Vec<(TaskId, Option<Task>)> {
        let mut known = self.known();
        let Known { tasks, unwritten } = &mut *known;
        let task = |id| tasks.iter().find(|task| task.id == id).cloned();
        let all = std::mem::take(unwritten).into_iter();
        all.map(|id| (id, task(id))).collect()
    }

    fn put_back(&self, id: TaskId) {
        self.known().unwritten.insert(id);
        self.changed.notify_one();
    }
}

/// What began longer ago is forgotten: thirty days.
const KEPT_US: u64 = 30 * 86_400 * 1_000_000;
/// Between two tries where the store is silent.
const PAUSE: Duration = Duration::from_secs(1);
