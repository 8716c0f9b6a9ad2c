//! `/v1/tasks`: what was begun and takes a while.

use axum::Json;
use axum::extract::{Extension, State};
use model::{ServerId, TaskId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::begun::{Begun, CALLS_END, Calls, TAKE};
use super::{steps, targets};
use crate::control::Caller;
use crate::extract::{Id, Params};
use crate::paging::Page;
use crate::tasks::{Task, TaskState};
use crate::{Control, Problem, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(cancel))
}

/// Which tasks are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TaskParams {
    /// Only those of this server.
    server: Option<ServerId>,
}

/// The last tasks
#[utoipa::path(
    get,
    path = "/v1/tasks",
    tag = "tasks",
    params(TaskParams),
    responses((status = 200, description = "The latest first.", body = Page<Task>)),
)]
async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<TaskParams>,
) -> Result<Json<Page<Task>>, Problem> {
    let mut items = control.tasks().of(params.server);
    items.retain(|task| caller.reach.has_server(Some(task.server)));
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// One task
#[utoipa::path(
    get,
    path = "/v1/tasks/{id}",
    tag = "tasks",
    params(("id" = String, Path, description = "The task.")),
    responses((status = 200, description = "How far it is.", body = Task)),
)]
async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<TaskId>,
) -> Result<Json<Task>, Problem> {
    let task = control.tasks().one(id);
    let task = task.filter(|task| caller.reach.has_server(Some(task.server)));
    task.map(Json)
        .ok_or_else(|| Problem::not_found(format!("there is no task {id}; the last 200 are known")))
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
        let why = "only what still waits for calls to end can be cancelled: a restart or a stop that drains first";
        return Err(Problem::new(&problem::IN_USE, why));
    }
    let task = control.tasks().one(id).ok_or_else(none)?;
    if steps::has_drained(&task) {
        begun.take_calls_again().await?;
    }
    Ok(Json(task))
}

/// Goes on with a task that was under way when control ended: its change is stored, and what the node
/// says of it is all that is waited for. Others say that they are over.
pub(crate) fn go_on(control: &Control, task: &Task) {
    let begun = Begun::again(control, task);
    if steps::has_plan(task) {
        control.change_task(task.id, |task| task.say("control was started again"));
        tokio::spawn(async move { steps::run(&begun).await });
        return;
    }
    let step = task.running_step();
    let (Some(revision), Some(TAKE | CALLS_END)) = (task.revision, step) else {
        let why = "control ended while this was under way: look at the server, and begin it again if it is not done";
        begun.end(TaskState::Failed, why);
        return;
    };
    control.change_task(task.id, |task| task.say("control was started again"));
    let is_taken = step == Some(CALLS_END);
    let waits = task.steps.iter().any(|step| step.name == CALLS_END);
    let target = task.target.clone();
    tokio::spawn(async move {
        if !is_taken && !targets::taken(&begun, revision).await {
            return;
        }
        let calls = target.as_deref().map_or(Calls::OfServer, Calls::OfTarget);
        if waits {
            begun.count_down(calls).await;
        }
    });
}
