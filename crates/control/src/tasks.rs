//! What was begun and takes a while: each with its steps, how far it is, and what happened. The last
//! of them are remembered, also when control is started again.

mod kept;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{ServerId, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use utoipa::ToSchema;

pub(crate) use self::kept::keep;

use crate::Control;
use crate::control::now;
use crate::events::Ring;

/// Something that takes a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Task {
    /// Which it is.
    pub(crate) id: TaskId,
    /// What is done: `drain`, `resume`, `resize`, `flush`, `restart`, `update`, `stop`, `start`; to a target of a dispatcher
    /// `drain-target`, `resume-target`, `weight`.
    pub(crate) kind: String,
    /// The same in words.
    pub(crate) title: String,
    /// The server that it is done to.
    pub(crate) server: ServerId,
    /// The target of that dispatcher, where it is done to one.
    #[serde(default)]
    pub(crate) target: Option<String>,
    /// The revision of the configuration that has the change, once it is stored.
    #[serde(default)]
    pub(crate) revision: Option<u64>,
    /// Who began it, as in the audit log.
    pub(crate) actor: String,
    /// Where it stands.
    pub(crate) state: TaskState,
    /// It began; microseconds since the Unix epoch.
    pub(crate) created_us: u64,
    /// It ended; microseconds since the Unix epoch.
    pub(crate) ended_us: Option<u64>,
    /// Its steps, in order.
    pub(crate) steps: Vec<TaskStep>,
    /// Calls that still go on, where it waits for them; `None`: not known, or of no matter.
    pub(crate) calls_left: Option<u32>,
    /// Calls that went on when it began, alike.
    pub(crate) calls_at_first: Option<u32>,
    /// Calls are waited for until then, and no longer; microseconds since the Unix epoch. `None`: until
    /// none is left.
    #[serde(default)]
    pub(crate) calls_until_us: Option<u64>,
    /// Whether it can be cancelled, and nothing has happened then.
    #[serde(default)]
    pub(crate) can_cancel: bool,
    /// The process that a restart ends began then; microseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) process_us: Option<u64>,
    /// What happened, the oldest first.
    pub(crate) log: Vec<TaskLine>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TaskState {
    /// It is under way.
    Running,
    /// It has done what it was to do.
    Done,
    /// It could not.
    Failed,
    /// Something else was begun that undoes it.
    Cancelled,
}

/// A part of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct TaskStep {
    /// What is done.
    pub(crate) name: String,
    /// Where it stands; `None`: not begun.
    pub(crate) state: Option<TaskState>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct TaskLine {
    /// When; microseconds since the Unix epoch.
    pub(crate) at_us: u64,
    /// What.
    pub(crate) text: String,
}

/// The tasks.
#[derive(Default)]
pub(crate) struct Tasks {
    known: Mutex<Known>,
    /// Something is to be written.
    changed: Notify,
}

#[derive(Default)]
struct Known {
    /// The oldest first.
    tasks: VecDeque<Task>,
    /// Those that the store has otherwise, or has and should not.
    unwritten: BTreeSet<TaskId>,
}

impl Tasks {
    /// Adds one; of those that have ended the oldest is forgotten for it.
    pub(crate) fn add(&self, task: Task) {
        let mut known = self.known();
        let Known { tasks, unwritten } = &mut *known;
        if tasks.len() >= TASKS_MAX {
            let ended = tasks
                .iter()
                .position(|task| task.state != TaskState::Running);
            let forgotten = tasks.remove(ended.unwrap_or(0));
            unwritten.extend(forgotten.map(|task| task.id));
        }
        unwritten.insert(task.id);
        tasks.push_back(task);
        drop(known);
        self.changed.notify_one();
    }

    /// One task.
    pub(crate) fn one(&self, id: TaskId) -> Option<Task> {
        self.known()
            .tasks
            .iter()
            .find(|task| task.id == id)
            .cloned()
    }

    /// Those of a server, or all; the latest first.
    pub(crate) fn of(&self, server: Option<ServerId>) -> Vec<Task> {
        let known = self.known();
        let wanted = known.tasks.iter().rev();
        wanted
            .filter(|task| server.is_none_or(|server| task.server == server))
            .cloned()
            .collect()
    }

    /// Changes one, and lets watchers know; whether it still runs.
    pub(crate) fn change(&self, ring: &Ring, id: TaskId, change: impl FnOnce(&mut Task)) -> bool {
        let mut known = self.known();
        let Known { tasks, unwritten } = &mut *known;
        let Some(task) = tasks.iter_mut().find(|task| task.id == id) else {
            return false;
        };
        let before = task.clone();
        if task.state == TaskState::Running {
            change(task);
        }
        let running = task.state == TaskState::Running;
        if !running && task.ended_us.is_none() {
            task.ended_us = Some(now().as_micros());
        }
        let changed = *task != before;
        let has_news = !task.differs_in_calls_alone(&before);
        if has_news {
            unwritten.insert(id);
        }
        drop(known);
        if has_news {
            self.changed.notify_one();
        }
        if changed {
            ring.announce("tasks", "task.changed", json!({ "id": id.to_string() }));
        }
        running
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// Whether nothing else is another than in `before`: calls are counted often, and known again soon.
    fn differs_in_calls_alone(&self, before: &Self) -> bool {
        let calls_left = self.calls_left;
        *self
            == Self {
                calls_left,
                ..before.clone()
            }
    }

    /// Notes what happened.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        if self.log.len() < LINES_MAX {
            let at_us = now().as_micros();
            let text = text.into();
            self.log.push(TaskLine { at_us, text });
        }
    }

    /// Notes how many calls are left; `None`: it is not known now.
    pub(crate) fn count(&mut self, left: Option<u32>) {
        if left.is_some() && self.calls_at_first.is_none() {
            self.calls_at_first = left;
            self.say(format!("{} calls go on", left.unwrap_or_default()));
        }
        self.calls_left = left;
    }

    /// The step that it is at.
    pub(crate) fn running_step(&self) -> Option<&str> {
        let mut steps = self.steps.iter();
        let running = steps.find(|step| step.state == Some(TaskState::Running));
        running.map(|step| step.name.as_str())
    }

    /// A step is over, and the next one begins; after the last the task is done.
    pub(crate) fn step(&mut self) {
        let mut open = self
            .steps
            .iter_mut()
            .filter(|step| step.state != Some(TaskState::Done));
        if let Some(step) = open.next() {
            step.state = Some(TaskState::Done);
        }
        match open.next() {
            Some(step) => step.state = Some(TaskState::Running),
            None => self.state = TaskState::Done,
        }
    }

    /// It cannot go on.
    pub(crate) fn end(&mut self, state: TaskState, why: &str) {
        let mut steps = self.steps.iter_mut();
        if let Some(step) = steps.find(|step| step.state == Some(TaskState::Running)) {
            step.state = Some(state);
        }
        self.state = state;
        self.can_cancel = false;
        self.say(why);
    }
}

impl Control {
    /// Changes a task while it is under way; whether it still is.
    pub(crate) fn change_task(&self, id: TaskId, change: impl FnOnce(&mut Task)) -> bool {
        self.tasks().change(self.ring(), id, change)
    }
}

/// Tasks that are remembered.
const TASKS_MAX: usize = 200;
/// Lines of one task's log; more are not noted.
const LINES_MAX: usize = 200;
