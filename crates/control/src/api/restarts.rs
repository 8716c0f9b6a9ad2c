//! Restarts, updates, stops and starts of a server.

use axum::extract::{Extension, State};
use axum::response::Response;
use model::{Server, ServerId, ServerRole};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::begun::{Begun, accepted};
use super::steps::{
    BEGIN, CallsFirst, FOLLOW, OPEN, OPENS, RESTART, RESUME, SHUT, SHUTS, START, STOP, TAKES_CALLS,
    TELL, UPDATE, refuse_another,
};
use crate::control::Caller;
use crate::extract::{Body, Id};
use crate::resource::find;
use crate::tasks::Task;
use crate::{Control, Problem, problem};

pub(super) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(restart))
        .routes(routes!(run_update))
        .routes(routes!(stop))
        .routes(routes!(start))
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
    request_body = Option<CallsFirst>,
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn restart(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
    body: Option<Body<Option<CallsFirst>>>,
) -> Result<Response, Problem> {
    let wish = wish(body)?;
    let server = restartable(&control, &caller, id).await?;
    let steps = restart_steps(wish, &server);
    let task = Begun::new(&control, &caller, RESTART, id, &steps, |server| {
        titled(wish, "restart", server)
    });
    begin(&control, task.await?, wish).await
}

/// How a server is updated.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Updating {
    /// Calls that then still go on are ended: seconds, 1 to 86,400. Calls are waited for however long
    /// they last, if `null` or left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    longest_wait_s: Option<u32>,
}

/// Has a server go on with the program that was put on its disk
///
/// It is a restart that drains first. What is on the disk is `update` in what the node reports; where that is
/// absent, nothing is pending, and it is refused.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/update",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    request_body = Option<Updating>,
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn run_update(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
    body: Option<Body<Option<Updating>>>,
) -> Result<Response, Problem> {
    let body = body.and_then(|Body(wish)| wish).unwrap_or_default();
    let wish = CallsFirst::draining(body.longest_wait_s).check()?;
    let server = restartable(&control, &caller, id).await?;
    let report = control.fleet().heard(id).report.map(|(report, _)| report);
    let pending = report.as_ref().and_then(|report| report.update.as_ref());
    let Some(pending) = pending else {
        let running = report.map_or("not known".into(), |report| report.version);
        let why =
            format!("no update is pending: no other program is on its disk (it runs {running})");
        return Err(Problem::new(&problem::IN_USE, why));
    };
    let steps = restart_steps(wish, &server);
    let task = Begun::new(&control, &caller, UPDATE, id, &steps, |server| {
        format!("update {} to {}", server.name, pending.version)
    });
    begin(&control, task.await?, wish).await
}

/// The server, if it is one that is restarted from here, and nothing is done to it.
async fn restartable(control: &Control, caller: &Caller, id: ServerId) -> Result<Server, Problem> {
    let server = find::<Server>(control, caller, id).await?.record;
    if control.own_server() == Some(id) {
        let detail = "this is control itself: restart it where it runs";
        return Err(Problem::new(&problem::ELSEWHERE, detail));
    }
    refuse_another(control, id)?;
    Ok(server)
}

fn restart_steps(wish: CallsFirst, server: &Server) -> Vec<&'static str> {
    let mut steps = wish.steps(server.draining).to_vec();
    steps.extend([TELL, BEGIN, FOLLOW]);
    if wish.drain && !server.draining {
        steps.extend([RESUME, TAKES_CALLS]);
    }
    steps
}

/// Closes the SIP of a server
///
/// Its node goes on, and so does its line to control; its listeners are closed and its registrations at
/// carriers given up, until it is started, over restarts of the node, too. The calls that it has end, unless
/// it is drained first.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/stop",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    request_body = Option<CallsFirst>,
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn stop(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
    body: Option<Body<Option<CallsFirst>>>,
) -> Result<Response, Problem> {
    let wish = wish(body)?;
    let server = find::<Server>(&control, &caller, id).await?.record;
    refuse_where_impossible(&control, &server)?;
    refuse_another(&control, id)?;
    if let Some(stop) = &server.stopped {
        let why = format!("it is stopped already, by {}", stop.by);
        return Err(Problem::new(&problem::IN_USE, why));
    }
    let mut steps = wish.steps(server.draining).to_vec();
    steps.extend([SHUT, SHUTS]);
    let task = Begun::new(&control, &caller, STOP, id, &steps, |server| {
        titled(wish, "stop", server)
    });
    begin(&control, task.await?, wish).await
}

/// Opens the SIP of a server that is stopped
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/start",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn start(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
) -> Result<Response, Problem> {
    let server = find::<Server>(&control, &caller, id).await?.record;
    refuse_where_impossible(&control, &server)?;
    refuse_another(&control, id)?;
    if server.stopped.is_none() {
        let why = "it is not stopped; one that is drained is resumed";
        return Err(Problem::new(&problem::IN_USE, why));
    }
    let task = Begun::new(&control, &caller, START, id, &[OPEN, OPENS], |server| {
        format!("start {}", server.name)
    });
    begin(&control, task.await?, CallsFirst::default()).await
}

fn wish(body: Option<Body<Option<CallsFirst>>>) -> Result<CallsFirst, Problem> {
    let wish = body.and_then(|Body(wish)| wish);
    wish.unwrap_or_default().check()
}

fn titled(wish: CallsFirst, what: &str, server: &Server) -> String {
    let name = &server.name;
    match wish.drain {
        true => format!("drain and {what} {name}"),
        false => format!("{what} {name}"),
    }
}

async fn begin(control: &Control, task: Begun, wish: CallsFirst) -> Result<Response, Problem> {
    let id = task.id;
    control.change_task(id, |task| wish.note(task));
    task.run_on().await?;
    accepted(control, id)
}

/// Refuses to stop or start what closes no SIP when it is told to.
fn refuse_where_impossible(control: &Control, server: &Server) -> Result<(), Problem> {
    let why = match server.role {
        ServerRole::Switch if control.own_server() != Some(server.id) => return Ok(()),
        ServerRole::Switch => "this is control itself: drain it, or stop its program where it runs",
        ServerRole::Dispatcher => "a dispatcher is drained, or its program stopped where it runs",
        ServerRole::Media => "a media server is drained, or its program stopped where it runs",
    };
    Err(Problem::new(&problem::ELSEWHERE, why))
}
