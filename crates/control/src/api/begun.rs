//! A task of a server under way: its steps, and what it waits for.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Dispatching, Server, ServerId, ServerRole, TaskId};
use store::Actor;
use tokio::time::{Instant, sleep};

use crate::api::servers::{ServerHealth, ServerState};
use crate::control::{Caller, now};
use crate::nodes::Report;
use crate::resource::find;
use crate::secret::id_bits;
use crate::tasks::{Task, TaskState, TaskStep};
use crate::{Control, Problem, TargetReport, TargetState};

/// A task of a server that was begun.
pub(super) struct Begun {
    pub(super) control: Control,
    pub(super) id: TaskId,
    pub(super) server: ServerId,
}

impl Begun {
    pub(super) async fn new(
        control: &Control,
        caller: &Caller,
        kind: &'static str,
        server: ServerId,
        steps: &[&'static str],
        title: impl FnOnce(&Server) -> String,
    ) -> Result<Self, Problem> {
        let found = find::<Server>(control, caller, server).await?.record;
        let at = now();
        let random = id_bits().map_err(|error| Problem::unavailable(error.to_string()))?;
        let id = TaskId::from_parts(at.as_millis(), random);
        let mut steps: Vec<TaskStep> = steps
            .iter()
            .map(|name| TaskStep {
                name: (*name).to_owned(),
                state: None,
            })
            .collect();
        if let Some(first) = steps.first_mut() {
            first.state = Some(TaskState::Running);
        }
        control.tasks().add(Task {
            id,
            kind: kind.to_owned(),
            title: title(&found),
            server,
            target: None,
            revision: None,
            actor: caller.actor().name,
            state: TaskState::Running,
            created_us: at.as_micros(),
            ended_us: None,
            steps,
            calls_left: None,
            calls_at_first: None,
            calls_until_us: None,
            can_cancel: false,
            process_us: None,
            log: Vec::new(),
        });
        Ok(Self {
            control: control.clone(),
            id,
            server,
        })
    }

    /// One that was begun before control was started again.
    pub(super) fn again(control: &Control, task: &Task) -> Self {
        Self {
            control: control.clone(),
            id: task.id,
            server: task.server,
        }
    }

    /// Changes the server's record, as the step that it is; its new revision.
    pub(super) async fn store(
        &self,
        caller: &Caller,
        change: impl Fn(&mut Server) + Send + 'static,
    ) -> Result<u64, Problem> {
        self.store_by(caller.actor(), change).await
    }

    /// The same in the name of who began the task.
    pub(super) async fn store_for_actor(
        &self,
        change: impl Fn(&mut Server) + Send + 'static,
    ) -> Result<u64, Problem> {
        let task = self.control.tasks().one(self.id);
        let name = task.map(|task| task.actor).unwrap_or_default();
        self.store_by(Actor { name, at: now() }, change).await
    }

    async fn store_by(
        &self,
        actor: Actor,
        change: impl Fn(&mut Server) + Send + 'static,
    ) -> Result<u64, Problem> {
        let server = self.server;
        let stored = self
            .control
            .change(move |records| {
                let mut stored = records.read::<Server>(server)?;
                change(&mut stored.record);
                let stored = records.update(&actor, stored.record, stored.revision)?;
                Ok((stored.revision, stored.revision))
            })
            .await;
        match stored {
            Ok(revision) => {
                self.control.change_task(self.id, |task| {
                    task.revision = Some(revision);
                    task.say(format!("stored as revision {revision}"));
                    task.step();
                });
                let data = serde_json::json!({ "id": server.to_string() });
                let ring = self.control.ring();
                ring.announce("servers", "server.changed", data);
                Ok(revision)
            }
            Err(problem) => {
                self.end(TaskState::Failed, "it could not be stored");
                Err(problem)
            }
        }
    }

    /// Waits until the node works with a revision; false if it does not.
    pub(super) async fn wait_for_revision(&self, revision: u64) -> bool {
        let text = format!("the node works with revision {revision}");
        self.wait_for_report(|report| report.revision >= revision, &text)
            .await
    }

    /// Waits until the node says that it is so; false if it does not.
    pub(super) async fn wait_for_report(&self, is: impl Fn(&Report) -> bool, text: &str) -> bool {
        let (began, began_us) = (Instant::now(), now().as_micros());
        loop {
            let health = self.health().await;
            let heard = health.filter(|health| health.reported_us > Some(began_us));
            let has = heard.and_then(|health| health.report);
            if has.is_some_and(|report| is(&report)) {
                return self.step(text);
            }
            if began.elapsed() > TAKE_PATIENCE {
                let why = "the node has not said that it has it; it gets it when it is back";
                return self.end(TaskState::Failed, why);
            }
            if !self.control.change_task(self.id, |_| {}) {
                return false;
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the node's process is another than the one that began at `before_us`; false if it
    /// does not come back.
    pub(super) async fn wait_for_start(&self, before_us: u64) -> bool {
        let began = Instant::now();
        loop {
            let has = self.health().await.and_then(|health| health.report);
            if has.is_some_and(|report| report.started_us != before_us) {
                return self.step("it is back");
            }
            if began.elapsed() > START_PATIENCE {
                return self.end(TaskState::Failed, "it has not come back yet");
            }
            sleep(LOOK).await;
        }
    }

    /// Counts calls down to none, or until they are waited for no longer; false if neither comes.
    pub(super) async fn count_down(&self, calls: Calls<'_>) -> bool {
        let mut silent = false;
        loop {
            let Some(health) = self.health().await else {
                return self.end(TaskState::Failed, "the server was deleted");
            };
            let unreachable = health.state == ServerState::Unreachable;
            let left = match calls.left(&health) {
                Ok(left) => left,
                Err(why) => return self.end(TaskState::Failed, why),
            };
            let mut is_over = false;
            let running = self.control.change_task(self.id, |task| {
                if unreachable && !silent {
                    task.say(health.cause.as_str());
                }
                task.count(left);
                if let Some(why) = enough(task, health.role, left) {
                    task.say(why);
                    task.can_cancel = false;
                    task.step();
                    is_over = true;
                }
            });
            silent = unreachable;
            if is_over || !running {
                return is_over;
            }
            sleep(LOOK).await;
        }
    }

    pub(super) async fn health(&self) -> Option<ServerHealth> {
        let newest = self.control.newest_snapshot().await.ok()?;
        let snapshot = newest.borrow().clone();
        let server = snapshot.servers.iter().find(|s| s.id == self.server)?;
        Some(self.control.server_health(server, snapshot.revision))
    }

    /// A step is over; whether the task was under way until now.
    pub(super) fn step(&self, text: &str) -> bool {
        let mut was = false;
        self.control.change_task(self.id, |task| {
            was = true;
            task.say(text);
            task.step();
        });
        was
    }

    /// It cannot go on; false.
    pub(super) fn end(&self, state: TaskState, why: &str) -> bool {
        self.control
            .change_task(self.id, |task| task.end(state, why))
    }
}

pub(super) fn accepted(control: &Control, id: TaskId) -> Result<Response, Problem> {
    let task = control.tasks().one(id);
    let task = task.ok_or_else(|| Problem::unavailable("too much is begun at once"))?;
    let place = [(header::LOCATION, format!("/v1/tasks/{id}"))];
    Ok((StatusCode::ACCEPTED, place, Json(task)).into_response())
}

/// Why calls need not be waited for any longer.
fn enough(task: &Task, role: ServerRole, left: Option<u32>) -> Option<String> {
    if left == Some(0) {
        return Some("no call is left".into());
    }
    task.calls_until_us
        .filter(|until| now().as_micros() >= *until)?;
    let fate = match role {
        ServerRole::Dispatcher => "they go on without it",
        ServerRole::Switch | ServerRole::Media => "they are ended",
    };
    let left = left.map_or("an unknown number of".into(), |left| left.to_string());
    Some(format!(
        "the longest wait is over; calls left: {left}; {fate}"
    ))
}

/// Which calls are counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Calls<'a> {
    /// Those that a server has, or its sessions.
    OfServer,
    /// Those of a dispatcher that one of its targets has, by the name of that.
    OfTarget(&'a str),
}

impl Calls<'_> {
    /// How many are left; `None`: it is not known now. Errors: it never will be.
    fn left(self, health: &ServerHealth) -> Result<Option<u32>, &'static str> {
        if health.state == ServerState::Revoked {
            return Err("its certificate was revoked: nobody knows of its calls");
        }
        let is_heard = health.state != ServerState::Unreachable;
        let report = health.report.as_ref().filter(|_| is_heard);
        match self {
            Self::OfServer => Ok(report.map(|report| report.channels)),
            Self::OfTarget(name) => {
                let Some(own) = report.and_then(|report| report.dispatcher.as_ref()) else {
                    return Ok(None);
                };
                if !is_in(&own.set, name) {
                    return Err("the target was taken out of the set");
                }
                Ok(calls_of(&own.targets, name))
            }
        }
    }
}

/// Whether a set has a target of that name: one that stands for no address at the moment has no calls
/// to count, and is waited for.
fn is_in(set: &Dispatching, name: &str) -> bool {
    set.targets.iter().any(|target| target.name == name)
}

/// Calls that all addresses of a target have; `None`: it is not there.
fn calls_of(targets: &[TargetReport], name: &str) -> Option<u32> {
    let own = targets.iter().filter(|target| target.record == name);
    let open = own.clone().any(|target| target.state == TargetState::Up);
    let calls = own.map(|target| target.calls).reduce(u32::saturating_add)?;
    // One that still gets calls has not heard of it yet.
    Some(if open { calls.max(1) } else { calls })
}

pub(super) const STORE: &str = "store the change";
pub(super) const TAKE: &str = "the node takes it";
pub(super) const CALLS_END: &str = "the calls it has end";
/// Between two looks at the node.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// How long a node may take to begin anew.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take for a configuration.
const TAKE_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_empty_once_none_of_its_addresses_has_a_call() {
        let at = |record: &str, calls, state| TargetReport {
            name: format!("{record}@{calls}"),
            record: record.into(),
            calls,
            state,
            ..TargetReport::default()
        };
        let busy = [
            at("a", 2, TargetState::Draining),
            at("a", 0, TargetState::Drained),
            at("b", 7, TargetState::Up),
        ];
        assert_eq!(calls_of(&busy, "a"), Some(2));
        assert_eq!(calls_of(&busy[1..], "a"), Some(0));
        assert_eq!(calls_of(&busy, "c"), None);
        let open = [at("a", 0, TargetState::Up)];
        assert_eq!(calls_of(&open, "a"), Some(1), "it may get one any moment");
    }
}
