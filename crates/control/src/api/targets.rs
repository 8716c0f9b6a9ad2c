//! `/v1/servers/{id}/targets`: what can be done to one target of a dispatcher. Each is a task, and
//! takes effect with calls up. The whole set is a field of the server, `dispatching`.

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use model::{DispatchTarget, Dispatching, Server, ServerId, ServerRole, TaskId};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::begun::{Begun, CALLS_END, Calls, STORE, TAKE, accepted};
use super::servers::ServerState;
use crate::control::Caller;
use crate::extract::Body;
use crate::tasks::TaskState;
use crate::{Control, Problem, problem, tasks::Task};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(update))
        .routes(routes!(drain_target))
        .routes(routes!(resume_target))
}

/// What of a target is to be otherwise.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TargetChange {
    /// Its share among those of its priority, 1 to 1,000.
    #[schema(minimum = 1, maximum = 1000)]
    weight: u16,
}

/// Gives a target of a dispatcher another weight
///
/// It counts for the calls that begin from then on. A dispatcher that worked by its own file works by
/// control's word from then on, with the targets it had.
#[utoipa::path(
    patch,
    path = "/v1/servers/{id}/targets/{target}",
    tag = "servers",
    params(
        ("id" = String, Path, description = "The dispatcher."),
        ("target" = String, Path, description = "The name of the target."),
    ),
    request_body = TargetChange,
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn update(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path((id, target)): Path<(String, String)>,
    Body(wanted): Body<TargetChange>,
) -> Result<Response, Problem> {
    if !(1..=WEIGHT_MAX).contains(&wanted.weight) {
        let why = format!("1 to {WEIGHT_MAX} is accepted");
        return Err(Problem::invalid_field("weight", why));
    }
    let title = format!("give {target} the weight {}", wanted.weight);
    let change = move |target: &mut DispatchTarget| target.weight = wanted.weight;
    let chosen = Chosen::find(&control, &id, target).await?;
    let task = chosen
        .begin(&caller, ("weight", &title), &[STORE, TAKE], change)
        .await?;
    accepted(&control, task)
}

/// Has a target of a dispatcher get no new calls
///
/// Those that it has go on; the task ends with the last of them that this dispatcher knows of.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/targets/{target}/drain",
    tag = "servers",
    params(
        ("id" = String, Path, description = "The dispatcher."),
        ("target" = String, Path, description = "The name of the target."),
    ),
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn drain_target(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path((id, target)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let title = drain_title(&target);
    let chosen = Chosen::find(&control, &id, target).await?;
    let steps = [STORE, TAKE, CALLS_END];
    let change = |target: &mut DispatchTarget| target.draining = true;
    let task = chosen
        .begin(&caller, ("drain-target", &title), &steps, change)
        .await?;
    accepted(&control, task)
}

/// Has a drained target of a dispatcher get calls again
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/targets/{target}/resume",
    tag = "servers",
    params(
        ("id" = String, Path, description = "The dispatcher."),
        ("target" = String, Path, description = "The name of the target."),
    ),
    responses((status = 202, description = "It is under way.", body = Task)),
)]
async fn resume_target(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Path((id, target)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let drains = drain_title(&target);
    let title = format!("have {target} get calls");
    let chosen = Chosen::find(&control, &id, target).await?;
    let server = chosen.server;
    let change = |target: &mut DispatchTarget| target.draining = false;
    let task = chosen
        .begin(&caller, ("resume-target", &title), &[STORE, TAKE], change)
        .await?;
    for other in control.tasks().of(Some(server)) {
        if other.kind == "drain-target" && other.title.ends_with(&drains) {
            control.change_task(other.id, |other| {
                other.end(TaskState::Cancelled, "the target gets calls again");
            });
        }
    }
    accepted(&control, task)
}

fn drain_title(target: &str) -> String {
    format!("drain the target {target}")
}

/// A target of a dispatcher, by its name in the set.
struct Chosen {
    control: Control,
    server: ServerId,
    target: String,
    /// The set that it is in: control's, or else the one that the dispatcher has by itself.
    set: Dispatching,
}

impl Chosen {
    async fn find(control: &Control, id: &str, target: String) -> Result<Self, Problem> {
        let no_server = || Problem::not_found(format!("there is no server {id}"));
        let server: ServerId = id.parse().map_err(|_| no_server())?;
        let found = control.records(move |records| records.read::<Server>(server));
        let found = found.await?.record;
        if found.role != ServerRole::Dispatcher {
            let why = format!(
                "{} is a {}: it has no targets",
                found.name,
                found.role.name()
            );
            return Err(Problem::new(&problem::ELSEWHERE, why));
        }
        let set = match &found.dispatching {
            Some(set) => set.clone(),
            None => own_set(control, &found)?,
        };
        if set.targets.iter().all(|known| known.name != target) {
            let why = format!("{} has no target {target}", found.name);
            return Err(Problem::not_found(why));
        }
        Ok(Self {
            control: control.clone(),
            server,
            target,
            set,
        })
    }

    /// Changes it in the record of the server, and has what is to follow wait for the dispatcher; the
    /// task that it is.
    async fn begin(
        self,
        caller: &Caller,
        (kind, title): (&'static str, &str),
        steps: &[&'static str],
        change: impl Fn(&mut DispatchTarget) + Send + 'static,
    ) -> Result<TaskId, Problem> {
        let titled = |server: &Server| format!("{}: {title}", server.name);
        let task = Begun::new(&self.control, caller, kind, self.server, steps, titled).await?;
        let (set, name) = (self.set, self.target);
        let target = name.clone();
        self.control
            .change_task(task.id, |task| task.target = Some(target.clone()));
        let stored = task.store(caller, move |server| {
            let set = server.dispatching.get_or_insert_with(|| set.clone());
            let mut targets = set.targets.iter_mut();
            if let Some(target) = targets.find(|target| target.name == name) {
                change(target);
            }
        });
        let (revision, id) = (stored.await?, task.id);
        let waits = steps.contains(&CALLS_END);
        tokio::spawn(async move {
            if taken(&task, revision).await && waits {
                task.count_down(Calls::OfTarget(&target)).await;
            }
        });
        Ok(id)
    }
}

/// What a dispatcher says of its own set. Errors: it says nothing now, or not all.
fn own_set(control: &Control, server: &Server) -> Result<Dispatching, Problem> {
    let health = control.server_health(server, 0);
    let report = health.report.and_then(|report| report.dispatcher);
    match report {
        Some(report) if health.state != ServerState::Unreachable && report.targets_untold == 0 => {
            Ok(report.set)
        }
        _ => {
            let why = "the dispatcher works by its own file and does not say now what is in it: \
                       try again when it is back";
            Err(Problem::unavailable(why))
        }
    }
}

/// Waits until the dispatcher works by a revision; false if it does not.
pub(super) async fn taken(task: &Begun, revision: u64) -> bool {
    if !task.wait_for_revision(revision).await {
        return false;
    }
    let report = task.health().await.and_then(|health| health.report);
    let refused = report.and_then(|report| report.dispatcher?.set_refused);
    match refused {
        Some(why) => {
            task.end(
                TaskState::Failed,
                &format!("the dispatcher refused it: {why}"),
            );
            false
        }
        None => true,
    }
}

const WEIGHT_MAX: u16 = 1_000;
