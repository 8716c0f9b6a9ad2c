//! What is done to a server in several steps: restarted, stopped, started, at once or once its calls have
//! ended. The steps of the task are the plan: what is next is read from it, so that it is gone on with
//! wherever control ended.

use std::time::Duration;

use link::proto::{Order, OrderKind};
use model::{Server, ServerId, ServerStop};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use super::begun::{Begun, CALLS_END, Calls, LOOK, STORE, TAKE};
use crate::control::now;
use crate::nodes::Report;
use crate::tasks::{Task, TaskState};
use crate::{Control, Problem, problem};

/// What becomes of the calls of a server that is restarted or stopped.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsFirst {
    /// It takes no new calls first, and the last that it has is waited for.
    #[serde(default)]
    pub(super) drain: bool,
    /// Calls that then still go on are ended: seconds, 1 to 86,400. Calls are waited for however long
    /// they last, if `null` or left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    pub(super) longest_wait_s: Option<u32>,
}

impl CallsFirst {
    /// Calls are waited for, but for so long at most.
    pub(super) const fn draining(longest_wait_s: Option<u32>) -> Self {
        Self {
            drain: true,
            longest_wait_s,
        }
    }

    pub(super) fn check(self) -> Result<Self, Problem> {
        let Some(wait) = self.longest_wait_s else {
            return Ok(self);
        };
        if !self.drain {
            let why = "only who drains waits: give drain, too";
            return Err(Problem::invalid_field("longest_wait_s", why));
        }
        if !(1..=WAIT_MAX_S).contains(&wait) {
            let why = format!("1 to {WAIT_MAX_S} is accepted");
            return Err(Problem::invalid_field("longest_wait_s", why));
        }
        Ok(self)
    }

    /// What comes before the rest; a server that takes no calls already need not be told.
    pub(super) fn steps(self, is_draining: bool) -> &'static [&'static str] {
        match (self.drain, is_draining) {
            (false, _) => &[],
            (true, true) => &[CALLS_END],
            (true, false) => &[STORE, TAKE, CALLS_END],
        }
    }

    /// Notes in the task until when calls are waited for.
    pub(super) fn note(self, task: &mut Task) {
        let wait = self.longest_wait_s.map(|wait| u64::from(wait) * 1_000_000);
        task.calls_until_us = wait.map(|wait| task.created_us + wait);
        task.can_cancel = self.drain;
    }
}

/// Refuses what would cross a restart, a stop or a start that is under way.
pub(super) fn refuse_another(control: &Control, server: ServerId) -> Result<(), Problem> {
    let all = control.tasks().of(Some(server)).into_iter();
    let mut running = all.filter(|task| has_plan(task) && task.state == TaskState::Running);
    match running.next() {
        Some(task) => {
            let why = format!(
                "another task is under way ({}: {}): wait for it, or cancel it",
                task.id, task.title
            );
            Err(Problem::new(&problem::IN_USE, why))
        }
        None => Ok(()),
    }
}

/// Whether a task is done step by step here.
pub(super) fn has_plan(task: &Task) -> bool {
    [RESTART, UPDATE, STOP, START].contains(&&*task.kind)
}

/// Whether it was for this task that the server takes no calls.
pub(super) fn has_drained(task: &Task) -> bool {
    has_plan(task) && task.steps.iter().any(|step| step.name == STORE)
}

/// Does what is left of a task. One that fails leaves no server drained.
pub(super) async fn run(begun: &Begun) {
    let tasks = begun.control.tasks();
    while let Some(task) = tasks.one(begun.id) {
        let Some(step) = task.running_step() else {
            break;
        };
        if !advance(begun, &task, step).await {
            break;
        }
    }
    let task = tasks.one(begun.id);
    let failed = task.filter(|task| task.state == TaskState::Failed && has_drained(task));
    if failed.is_some()
        && let Err(problem) = begun.take_calls_again().await
    {
        let server = begun.server;
        tracing::warn!(?problem, %server, "it stays drained after a task that failed");
    }
}

/// Does one step; false if the task does not go on.
async fn advance(begun: &Begun, task: &Task, step: &str) -> bool {
    match (step, task.revision) {
        (STORE, _) => begun.stores(|server| server.draining = true).await,
        (TAKE | TAKES_CALLS, Some(revision)) => begun.wait_for_revision(revision).await,
        (CALLS_END, _) => begun.count_down(Calls::OfServer).await,
        (TELL, _) => begun.tell_to_restart().await,
        (BEGIN, _) => {
            let before_us = task.process_us.unwrap_or_default();
            begun.wait_for_start(before_us).await
        }
        (FOLLOW, _) => begun.follow().await,
        (RESUME, _) => begun.stores(|server| server.draining = false).await,
        (SHUT, _) => begun.stores(stopped_by(task)).await,
        (SHUTS, Some(revision)) => {
            let is = |report: &Report| report.revision >= revision && report.listeners.is_empty();
            begun.wait_for_report(is, "its SIP is closed").await
        }
        (OPEN, _) => begun.stores(|server| server.stopped = None).await,
        (OPENS, Some(revision)) => {
            let is = |report: &Report| report.revision >= revision && !report.listeners.is_empty();
            begun.wait_for_report(is, "its SIP is open").await
        }
        _ => begun.end(TaskState::Failed, "this program does not know the step"),
    }
}

/// The server as it is once it is stopped: it is not drained for it any more.
fn stopped_by(task: &Task) -> impl Fn(&mut Server) + Send + 'static {
    let (by, has_drained) = (task.actor.clone(), has_drained(task));
    let at_us = now().as_micros();
    move |server| {
        let by = by.clone();
        server.stopped.get_or_insert(ServerStop { at_us, by });
        if has_drained {
            server.draining = false;
        }
    }
}

impl Begun {
    /// Does the first step, which is a change that whoever asked for it is to hear of if it fails, and has
    /// the others follow.
    pub(super) async fn run_on(self) -> Result<(), Problem> {
        let task = self.control.tasks().one(self.id);
        let first = task
            .as_ref()
            .and_then(|task| Some((task, task.running_step()?)));
        match first {
            Some((_, STORE)) => {
                let drained = self.store_for_actor(|server| server.draining = true);
                drained.await.map(|_| ())?;
            }
            Some((task, SHUT)) => self.store_for_actor(stopped_by(task)).await.map(|_| ())?,
            Some((_, OPEN)) => {
                let opened = self.store_for_actor(|server| server.stopped = None);
                opened.await.map(|_| ())?;
            }
            _ => {}
        }
        tokio::spawn(async move { run(&self).await });
        Ok(())
    }

    async fn stores(&self, change: impl Fn(&mut Server) + Send + 'static) -> bool {
        self.store_for_actor(change).await.is_ok()
    }

    /// Has the node begin anew. Its line may be on its way: control itself may just have begun.
    async fn tell_to_restart(&self) -> bool {
        let began = Instant::now();
        loop {
            let report = self.health().await.and_then(|health| health.report);
            if let Some(report) = report
                && self.order_restart(&report)
            {
                return self.step(&format!("it was told; calls that end: {}", report.channels));
            }
            if began.elapsed() > LINE_PATIENCE {
                return self.end(TaskState::Failed, "the server has no line to control");
            }
            if !self.control.change_task(self.id, |_| {}) {
                return false;
            }
            sleep(LOOK).await;
        }
    }

    /// Whether the order has gone out.
    fn order_restart(&self, report: &Report) -> bool {
        // Known before it is told: control may end right after.
        self.control
            .change_task(self.id, |task| task.process_us = Some(report.started_us));
        let order = Order {
            kind: OrderKind::Restart.into(),
            task: self.id.to_string(),
        };
        self.control.fleet().order(self.server, order)
    }

    /// Waits until the node works with the newest configuration.
    async fn follow(&self) -> bool {
        match self.control.newest_snapshot().await {
            Ok(newest) => {
                let revision = newest.borrow().revision;
                self.wait_for_revision(revision).await
            }
            Err(_) => self.end(TaskState::Failed, "the newest configuration is not known"),
        }
    }

    /// Has the server take calls once more, in the name of who began the task.
    pub(super) async fn take_calls_again(&self) -> Result<(), Problem> {
        let stored = self.store_for_actor(|server| server.draining = false);
        stored.await.map(|_| ())
    }
}

/// Kinds of tasks.
pub(super) const RESTART: &str = "restart";
pub(super) const UPDATE: &str = "update";
pub(super) const STOP: &str = "stop";
pub(super) const START: &str = "start";
/// Steps.
pub(super) const TELL: &str = "tell the node";
pub(super) const BEGIN: &str = "it begins anew";
pub(super) const FOLLOW: &str = "it works with the newest configuration";
pub(super) const RESUME: &str = "store that it takes calls again";
pub(super) const TAKES_CALLS: &str = "the node takes calls again";
pub(super) const SHUT: &str = "store that it is stopped";
pub(super) const SHUTS: &str = "the node closes its SIP";
pub(super) const OPEN: &str = "store that it is started";
pub(super) const OPENS: &str = "the node opens its SIP";
/// How long the line of a node is waited for.
const LINE_PATIENCE: Duration = Duration::from_secs(15);
/// How long calls may be waited for at most, where there is an end to it: a day.
const WAIT_MAX_S: u32 = 86_400;
