//! `/v1/servers/{id}/targets`: what can be done to one target of a dispatcher. Each is a task, and
//! takes effect with calls up. The whole set is a field of the server, `dispatching`.

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use model::{DispatchTarget, Dispatching, Server, ServerId, ServerRole};
use serde::Deserialize;
use tokio::time::sleep;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::server_actions::{Begun, CALLS_END, LOOK, STORE, TAKE, accepted};
use super::servers::ServerState;
use crate::control::Caller;
use crate::extract::Body;
use crate::tasks::TaskState;
use crate::{Control, Problem, TargetReport, TargetState, problem, tasks::Task};

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
    let steps = [STORE, TAKE];
    let (task, revision) = chosen
        .store(&caller, ("weight", &title), &steps, change)
        .await?;
    let id = task.id;
    tokio::spawn(async move { taken(&task, revision).await });
    accepted(&control, id)
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
    let name = chosen.target.clone();
    let stored = chosen.store(&caller, ("drain-target", &title), &steps, change);
    let (task, revision) = stored.await?;
    let id = task.id;
    tokio::spawn(async move {
        if taken(&task, revision).await {
            wait_for_calls(&task, &name).await;
        }
    });
    accepted(&control, id)
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
    let change = |target: &mut DispatchTarget| target.draining = false;
    let stored = chosen.store(&caller, ("resume-target", &title), &[STORE, TAKE], change);
    let (task, revision) = stored.await?;
    for other in control.tasks().of(Some(task.server)) {
        if other.kind == "drain-target" && other.title.ends_with(&drains) {
            control.change_task(other.id, |other| {
                other.end(TaskState::Cancelled, "the target gets calls again");
            });
        }
    }
    let id = task.id;
    tokio::spawn(async move { taken(&task, revision).await });
    accepted(&control, id)
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

    /// Changes it in the record of the server; the task, and the revision that has it.
    async fn store(
        self,
        caller: &Caller,
        (kind, title): (&'static str, &str),
        steps: &[&'static str],
        change: impl Fn(&mut DispatchTarget) + Send + 'static,
    ) -> Result<(Begun, u64), Problem> {
        let titled = |server: &Server| format!("{}: {title}", server.name);
        let task = Begun::new(&self.control, caller, kind, self.server, steps, titled).await?;
        let (set, name) = (self.set, self.target);
        let target = Some(name.clone());
        self.control
            .change_task(task.id, move |task| task.target = target);
        let stored = task.store(caller, move |server| {
            let set = server.dispatching.get_or_insert_with(|| set.clone());
            let mut targets = set.targets.iter_mut();
            if let Some(target) = targets.find(|target| target.name == name) {
                change(target);
            }
        });
        let revision = stored.await?;
        Ok((task, revision))
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

/// Counts the calls of a target down to none.
pub(super) async fn wait_for_calls(task: &Begun, name: &str) {
    loop {
        let Some(health) = task.health().await else {
            task.end(TaskState::Failed, "the dispatcher was deleted");
            return;
        };
        if health.state == ServerState::Revoked {
            let why = "its certificate was revoked: nobody knows of its calls";
            task.end(TaskState::Failed, why);
            return;
        }
        let is_heard = health.state != ServerState::Unreachable;
        let report = health.report.filter(|_| is_heard);
        let dispatcher = report.and_then(|report| report.dispatcher);
        if dispatcher
            .as_ref()
            .is_some_and(|own| !is_in(&own.set, name))
        {
            task.end(TaskState::Failed, "the target was taken out of the set");
            return;
        }
        let left = dispatcher.and_then(|own| calls_of(&own.targets, name));
        let running = task.control.change_task(task.id, |task| {
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
        if !running {
            return;
        }
        sleep(LOOK).await;
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

const WEIGHT_MAX: u16 = 1_000;

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
