//! What can be done to a server: each is a task.

use axum::extract::{Extension, State};
use axum::response::Response;
use link::proto::{Order, OrderKind};
use model::{Server, ServerId, ServerRole};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::begun::{Begun, CALLS_END, Calls, STORE, TAKE, accepted};
use super::{restarts, steps};
use crate::control::Caller;
use crate::extract::{Body, Id};
use crate::resource::find;
use crate::tasks::{Task, TaskState};
use crate::{Control, Problem, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(drain))
        .routes(routes!(resume))
        .routes(routes!(resize))
        .routes(routes!(flush))
        .merge(restarts::routes())
}

/// Has a server take no new calls, or a media server no new sessions
///
/// Those that it has go on; the task ends with the last of them. A dispatcher answers whatever is outside
/// of calls by 503 with Retry-After, OPTIONS to itself among it, so that who sends it calls goes elsewhere.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/drain",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn drain(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
) -> Result<Response, Problem> {
    find::<Server>(&control, &caller, id).await?;
    steps::refuse_another(&control, id)?;
    let steps = [STORE, TAKE, CALLS_END];
    let task = Begun::new(&control, &caller, "drain", id, &steps, |server| {
        format!("drain {}", server.name)
    });
    let task = task.await?;
    let revision = task.store(&caller, |server| server.draining = true).await?;
    for other in control.tasks().of(Some(id)) {
        if other.kind == "resume" {
            control.change_task(other.id, |other| {
                other.end(TaskState::Cancelled, "the server is drained");
            });
        }
    }
    let (id, running) = (task.id, task);
    tokio::spawn(async move {
        if running.wait_for_revision(revision).await {
            running.count_down(Calls::OfServer).await;
        }
    });
    accepted(&control, id)
}

/// Has a drained server take calls again
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/resume",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn resume(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
) -> Result<Response, Problem> {
    let task = Begun::new(&control, &caller, "resume", id, &[STORE, TAKE], |server| {
        format!("have {} take calls", server.name)
    });
    let task = task.await?;
    let revision = task
        .store(&caller, |server| server.draining = false)
        .await?;
    for other in control.tasks().of(Some(id)) {
        if other.kind == "drain" || other.can_cancel {
            control.change_task(other.id, |other| {
                if other.kind == "drain" || other.can_cancel {
                    other.end(TaskState::Cancelled, "the server takes calls again");
                }
            });
        }
    }
    let (id, running) = (task.id, task);
    tokio::spawn(async move { running.wait_for_revision(revision).await });
    accepted(&control, id)
}

/// What a server may carry from now on.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Size {
    /// Calls in progress; as the platform's settings say, if `null` or left out.
    #[serde(default)]
    channels: Option<u32>,
    /// New calls per second, alike.
    #[serde(default)]
    cps: Option<u32>,
}

/// Changes what a server may carry
///
/// It counts as soon as the node has it, for calls that begin from then on; no call ends for it.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/resize",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    request_body = Size,
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn resize(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
    Body(size): Body<Size>,
) -> Result<Response, Problem> {
    let why = "only a server that takes calls itself has such limits; a media server is told by its own flags";
    refuse(
        &control,
        id,
        &[ServerRole::Dispatcher, ServerRole::Media],
        why,
    )
    .await?;
    let text = |limit: Option<u32>| limit.map_or("as set".into(), |limit| limit.to_string());
    let wanted = format!("{} channels, {} CPS", text(size.channels), text(size.cps));
    let task = Begun::new(&control, &caller, "resize", id, &[STORE, TAKE], |server| {
        format!("resize {}: {wanted}", server.name)
    });
    let task = task.await?;
    let change = move |server: &mut Server| {
        server.limits.channels = size.channels;
        server.limits.cps = size.cps;
    };
    let revision = task.store(&caller, change).await?;
    let (id, running) = (task.id, task);
    tokio::spawn(async move { running.wait_for_revision(revision).await });
    accepted(&control, id)
}

/// Pushes the configuration to a server once more
///
/// Calls stay up.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/flush",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn flush(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
) -> Result<Response, Problem> {
    let steps = ["push the configuration", TAKE];
    let task = Begun::new(&control, &caller, "flush", id, &steps, |server| {
        format!("flush {}", server.name)
    });
    let task = task.await?;
    let revision = control.newest_snapshot().await?.borrow().revision;
    let order = Order {
        kind: OrderKind::Flush.into(),
        task: task.id.to_string(),
    };
    if control.own_server() == Some(id) {
        control.apply_anew(revision).await;
        task.step("it is the node of control itself");
    } else if control.fleet().order(id, order) {
        task.step("it is on its way");
    } else {
        let why = "the server has no line to control: it gets the newest when it is back";
        task.end(TaskState::Failed, why);
    }
    let (id, running) = (task.id, task);
    tokio::spawn(async move { running.wait_for_revision(revision).await });
    accepted(&control, id)
}

/// Refuses what servers of some roles cannot do.
async fn refuse(
    control: &Control,
    id: ServerId,
    roles: &[ServerRole],
    why: &str,
) -> Result<(), Problem> {
    let found = control.records(move |records| records.read::<Server>(id));
    match roles.contains(&found.await?.record.role) {
        true => Err(Problem::new(&problem::ELSEWHERE, why)),
        false => Ok(()),
    }
}
