//! What can be done to a server: each is a task.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use link::proto::{Order, OrderKind};
use model::{Server, ServerId, ServerRole, TaskId};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::servers::{ServerHealth, ServerState};
use crate::control::{Caller, now};
use crate::extract::{Body, Id};
use crate::resource::find;
use crate::secret::id_bits;
use crate::tasks::{Task, TaskState, TaskStep};
use crate::{Control, Problem, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(drain))
        .routes(routes!(resume))
        .routes(routes!(resize))
        .routes(routes!(flush))
        .routes(routes!(restart))
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
            running.wait_for_calls().await;
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
        if other.kind == "drain" {
            control.change_task(other.id, |other| {
                other.end(TaskState::Cancelled, "the server takes calls again");
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

/// Has the node of a server begin anew
///
/// The calls that it has end: drain it first to spare them. The program that is on its disk then is
/// the one that begins.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/restart",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn restart(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
) -> Result<Response, Problem> {
    find::<Server>(&control, &caller, id).await?;
    if control.own_server() == Some(id) {
        let detail = "this is control itself: restart it where it runs";
        return Err(Problem::new(&problem::ELSEWHERE, detail));
    }
    let steps = ["tell the node", "it begins anew"];
    let task = Begun::new(&control, &caller, "restart", id, &steps, |server| {
        format!("restart {}", server.name)
    });
    let task = task.await?;
    let report = task.health().await.and_then(|health| health.report);
    let order = Order {
        kind: OrderKind::Restart.into(),
        task: task.id.to_string(),
    };
    let (id, running) = (task.id, task);
    match report {
        Some(report) if control.fleet().order(running.server, order) => {
            running.step(&format!("it was told; calls that end: {}", report.channels));
            tokio::spawn(async move { running.wait_for_start(report.started_us).await });
        }
        _ => {
            running.end(TaskState::Failed, "the server has no line to control");
        }
    }
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

    /// Changes the server's record; its new revision.
    pub(super) async fn store(
        &self,
        caller: &Caller,
        change: impl Fn(&mut Server) + Send + 'static,
    ) -> Result<u64, Problem> {
        let (server, actor) = (self.server, caller.actor());
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
        let (began, began_us) = (Instant::now(), now().as_micros());
        loop {
            let health = self.health().await;
            let heard = health.filter(|health| health.reported_us > Some(began_us));
            let has = heard.and_then(|health| health.report);
            if has.is_some_and(|report| report.revision >= revision) {
                return self.step(&format!("the node works with revision {revision}"));
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

    /// Waits until the node's process is another than the one that began at `before_us`.
    async fn wait_for_start(&self, before_us: u64) {
        let began = Instant::now();
        loop {
            let has = self.health().await.and_then(|health| health.report);
            if has.is_some_and(|report| report.started_us != before_us) {
                self.step("it is back");
                return;
            }
            if began.elapsed() > START_PATIENCE {
                self.end(TaskState::Failed, "it has not come back yet");
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Counts the calls down to none.
    pub(super) async fn wait_for_calls(&self) {
        let mut silent = false;
        loop {
            let Some(health) = self.health().await else {
                self.end(TaskState::Failed, "the server was deleted");
                return;
            };
            if health.state == ServerState::Revoked {
                let why = "its certificate was revoked: nobody knows of its calls";
                self.end(TaskState::Failed, why);
                return;
            }
            let unreachable = health.state == ServerState::Unreachable;
            let left = health.report.filter(|_| !unreachable).map(|r| r.channels);
            let cause = health.cause;
            let running = self.control.change_task(self.id, |task| {
                if unreachable && !silent {
                    task.say(cause);
                }
                if left.is_some() && task.calls_at_first.is_none() {
                    task.calls_at_first = left;
                    task.say(format!("{} calls go on", left.unwrap_or_default()));
                }
                task.calls_left = left;
                if left == Some(0) {
                    task.say("no call is left");
                    task.step();
                }
            });
            silent = unreachable;
            if !running {
                return;
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

pub(super) const STORE: &str = "store the change";
pub(super) const TAKE: &str = "the node takes it";
pub(super) const CALLS_END: &str = "the calls it has end";
/// Between two looks at the node.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// How long a node may take to begin anew.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take for a configuration.
const TAKE_PATIENCE: Duration = Duration::from_secs(30);
