//! `/v1/tasks`: what was begun and takes a while.

use axum::Json;
use axum::extract::{Extension, State};
use model::{ServerId, TaskId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::extract::{Id, Params};
use crate::paging::Page;
use crate::tasks::Task;
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
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
