//! Restarts of a server, at once or once its calls have ended. The steps of the task are the plan: what
//! is next is read from it, so that it is gone on with wherever control ended.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::Response;
use link::proto::{Order, OrderKind};
use model::{Server, ServerId, TaskId};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::begun::{Begun, CALLS_END, Calls, LOOK, STORE, TAKE, accepted};
use crate::control::Caller;
use crate::extract::{Body, Id};
use crate::nodes::Report;
use crate::resource::find;
use crate::tasks::{Task, TaskState};
use crate::{Control, Problem, problem};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(restart))
        .routes(routes!(cancel))
}

/// How a server is restarted.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Restarting {
    /// It takes no new calls first, and is restarted when the last that it has is over.
    #[serde(default)]
    drain: bool,
    /// Calls that then still go on are ended: seconds, 1 to 86,400. Calls are waited for however long
    /// they last, if `null` or left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    longest_wait_s: Option<u32>,
}

impl Restarting {
    fn check(self) -> Result<Self, Problem> {
        let Some(wait) = self.longest_wait_s else {
            return Ok(self);
        };
        if !self.drain {
            let why = "only a restart that drains waits: give drain, too";
            return Err(Problem::invalid_field("longest_wait_s", why));
        }
        if !(1..=WAIT_MAX_S).contains(&wait) {
            let why = format!("1 to {WAIT_MAX_S} is accepted");
            return Err(Problem::invalid_field("longest_wait_s", why));
        }
        Ok(self)
    }

    /// What is done, in order; a server that takes no calls already takes none afterwards.
    fn steps(self, is_draining: bool) -> Vec<&'static str> {
        let restart = [TELL, BEGIN, FOLLOW];
        match (self.drain, is_draining) {
            (false, _) => restart.to_vec(),
            (true, true) => [&[CALLS_END][..], &restart].concat(),
            (true, false) => [
                &[STORE, TAKE, CALLS_END][..],
                &restart,
                &[RESUME, TAKES_CALLS],
            ]
            .concat(),
        }
    }
}

/// Has the node of a server begin anew
///
/// The calls that it has end, unless it is drained first: then the last of them is waited for, and it
/// takes calls again when it is back. Until it is told, the task can be cancelled. The program that is on
/// its disk then is the one that begins.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/restart",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    request_body = Option<Restarting>,
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn restart(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
    body: Option<Body<Restarting>>,
) -> Result<Response, Problem> {
    let wish = body.map_or_else(Restarting::default, |Body(wish)| wish);
    let wish = wish.check()?;
    let server = find::<Server>(&control, &caller, id).await?.record;
    if control.own_server() == Some(id) {
        let detail = "this is control itself: restart it where it runs";
        return Err(Problem::new(&problem::ELSEWHERE, detail));
    }
    refuse_another(&control, id)?;
    let steps = wish.steps(server.draining);
    let task = Begun::new(&control, &caller, KIND, id, &steps, |server| {
        let name = &server.name;
        match wish.drain {
            true => format!("drain and restart {name}"),
            false => format!("restart {name}"),
        }
    });
    let task = task.await?;
    let wait_us = wish.longest_wait_s.map(|wait| u64::from(wait) * 1_000_000);
    control.change_task(task.id, |task| {
        task.calls_until_us = wait_us.map(|wait| task.created_us + wait);
        task.can_cancel = wish.drain;
    });
    if steps.contains(&STORE) {
        task.store(&caller, |server| server.draining = true).await?;
    }
    let id = task.id;
    tokio::spawn(async move { run(&task).await });
    accepted(&control, id)
}

/// Cancels a task that still waits for calls to end
///
/// The server takes calls again, if it did before. A task that has gone further is not cancelled.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/cancel",
    tag = "tasks",
    params(("id" = String, Path, description = "The task.")),
    responses((status = 200, description = "It is cancelled.", body = Task)),
)]
async fn cancel(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<TaskId>,
) -> Result<Json<Task>, Problem> {
    let none = || Problem::not_found(format!("there is no task {id}; the last 200 are known"));
    let task = control.tasks().one(id);
    let task = task.filter(|task| caller.reach.has_server(Some(task.server)));
    let begun = Begun::again(&control, &task.ok_or_else(none)?);
    let mut is_cancelled = false;
    control.change_task(id, |task| {
        if task.can_cancel {
            let why = format!("cancelled by {}", caller.actor().name);
            task.end(TaskState::Cancelled, &why);
            is_cancelled = true;
        }
    });
    if !is_cancelled {
        let why =
            "only what still waits for calls to end can be cancelled: a restart that drains first";
        return Err(Problem::new(&problem::IN_USE, why));
    }
    let task = control.tasks().one(id).ok_or_else(none)?;
    if has_drained(&task) {
        begun.take_calls_again().await?;
    }
    Ok(Json(task))
}

/// Refuses what would cross a restart that is under way.
pub(super) fn refuse_another(control: &Control, server: ServerId) -> Result<(), Problem> {
    let all = control.tasks().of(Some(server)).into_iter();
    let mut running = all.filter(|task| is_one(task) && task.state == TaskState::Running);
    match running.next() {
        Some(task) => {
            let why = format!(
                "it is being restarted (task {}): wait for that, or cancel it",
                task.id
            );
            Err(Problem::new(&problem::IN_USE, why))
        }
        None => Ok(()),
    }
}

/// Whether a task is a restart.
pub(super) fn is_one(task: &Task) -> bool {
    task.kind == KIND
}

/// Whether it was for this task that the server takes no calls.
fn has_drained(task: &Task) -> bool {
    task.steps.iter().any(|step| step.name == RESUME)
}

/// Does what is left of a restart. One that fails leaves no server drained.
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
        tracing::warn!(?problem, %server, "it stays drained after a restart that failed");
    }
}

/// Does one step; false if the task does not go on.
async fn advance(begun: &Begun, task: &Task, step: &str) -> bool {
    match (step, task.revision) {
        (STORE, _) => {
            let stored = begun.store_for_actor(|server| server.draining = true);
            stored.await.is_ok()
        }
        (TAKE | TAKES_CALLS, Some(revision)) => begun.wait_for_revision(revision).await,
        (CALLS_END, _) => begun.count_down(Calls::OfServer).await,
        (TELL, _) => begun.tell_to_restart().await,
        (BEGIN, _) => {
            let before_us = task.process_us.unwrap_or_default();
            begun.wait_for_start(before_us).await
        }
        (FOLLOW, _) => begun.follow().await,
        (RESUME, _) => {
            let stored = begun.store_for_actor(|server| server.draining = false);
            stored.await.is_ok()
        }
        _ => begun.end(TaskState::Failed, "this program does not know the step"),
    }
}

impl Begun {
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
    async fn take_calls_again(&self) -> Result<(), Problem> {
        let stored = self.store_for_actor(|server| server.draining = false);
        stored.await.map(|_| ())
    }
}

/// How long the line of a node is waited for.
const LINE_PATIENCE: Duration = Duration::from_secs(15);
const KIND: &str = "restart";
const TELL: &str = "tell the node";
const BEGIN: &str = "it begins anew";
const FOLLOW: &str = "it works with the newest configuration";
const RESUME: &str = "store that it takes calls again";
const TAKES_CALLS: &str = "the node takes calls again";
/// How long calls may be waited for at most, where there is an end to it: a day.
const WAIT_MAX_S: u32 = 86_400;
