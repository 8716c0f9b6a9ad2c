//! `/v1/servers`: machines that take calls, how each is, and what can be done to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use model::{Server, ServerId, ServerRole, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, now};
use crate::draft::Draft;
use crate::extract::{Id, Params};
use crate::latency::{Latency, towards_servers};
use crate::nodes::{Heard, Report};
use crate::paging::Page;
use crate::resource::Resource;
use crate::{Control, Problem, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(revoke))
}

/// How a server is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ServerHealth {
    /// Which.
    pub(crate) server: ServerId,
    /// What people call it.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: ServerRole,
    /// The zone it stands in.
    pub(crate) zone: String,
    /// The cluster it belongs to.
    pub(crate) cluster: String,
    /// Whether it takes calls, and if not why.
    pub(crate) state: ServerState,
    /// The same in a sentence.
    pub(crate) cause: String,
    /// Where its line comes from, while it has one.
    address: Option<String>,
    /// What it said last, be it long ago; `None`: it has said nothing since control began.
    pub(crate) report: Option<Report>,
    /// When it said so; microseconds since the Unix epoch.
    pub(crate) reported_us: Option<u64>,
    /// The revision of the configuration that it should have.
    wanted_revision: u64,
    /// Its certificate expires; microseconds since the Unix epoch.
    certificate_expires_us: Option<u64>,
    /// How far it is from other servers by SIP: OPTIONS and its answer.
    sip: Latency,
    /// The same by ICMP.
    icmp: Latency,
}

/// Whether a server takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServerState {
    /// It does.
    Up,
    /// It does, but something of it does not work: a dispatcher has targets that are down.
    Degraded,
    /// It cannot: a dispatcher has no target that takes calls.
    Down,
    /// All that it may carry is in use.
    Full,
    /// It takes no new ones, and still has some.
    Draining,
    /// It takes no new ones, and has none left.
    Drained,
    /// Somebody has stopped it: its SIP is closed.
    Stopped,
    /// It is not heard of.
    Unreachable,
    /// No machine has joined as it.
    Planned,
    /// Its certificates are refused.
    Revoked,
}

/// Which servers are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HealthParams {
    /// Only this server.
    server: Option<ServerId>,
    /// Only servers that do this.
    role: Option<ServerRole>,
    /// Only servers in this zone.
    zone: Option<String>,
    /// Only servers of this cluster.
    cluster: Option<String>,
    /// Only servers in this state.
    state: Option<ServerState>,
    /// Only servers with this in their name.
    name: Option<String>,
}

/// How every server is
#[utoipa::path(
    get,
    path = "/v1/server-health",
    tag = "servers",
    params(HealthParams),
    responses((status = 200, description = "One entry for each server that matches, by name.", body = Page<ServerHealth>)),
)]
async fn health(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<HealthParams>,
) -> Result<Json<Page<ServerHealth>>, Problem> {
    let (_, mut items) = control.servers_health().await?;
    let wanted = params.name.as_deref().map(str::to_lowercase);
    items.retain(|health| {
        caller.reach.has_server(Some(health.server))
            && params.server.is_none_or(|id| health.server == id)
            && params.role.is_none_or(|role| health.role == role)
            && params.zone.as_ref().is_none_or(|zone| health.zone == *zone)
            && params.cluster.as_ref().is_none_or(|c| health.cluster == *c)
            && params.state.is_none_or(|state| health.state == state)
            && wanted
                .as_ref()
                .is_none_or(|name| health.name.to_lowercase().contains(name))
    });
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Refuses the certificates of a server's node from now on
///
/// Its line ends at once. It goes on with the configuration it has. A machine can join as this server
/// with a new token.
#[utoipa::path(
    post,
    path = "/v1/servers/{id}/revoke",
    tag = "servers",
    params(("id" = String, Path, description = "The server.")),
    responses((status = 204, description = "They are refused.")),
)]
async fn revoke(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ServerId>,
) -> Result<StatusCode, Problem> {
    if control.own_server() == Some(id) {
        let why = "this is control itself: it shows no certificate of a node";
        return Err(Problem::new(&problem::IN_USE, why));
    }
    let at = now();
    control
        .change(move |records| {
            let mut stored = records.read::<Server>(id)?;
            stored.record.revoked_us.get_or_insert(at.as_micros());
            let stored = records.update(&caller.actor(), stored.record, stored.revision)?;
            Ok((stored.revision, ()))
        })
        .await?;
    let data = json!({ "id": id.to_string() });
    control.ring().announce("servers", "server.revoked", data);
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
impl ServerHealth {
    /// Of a server in no zone and no cluster.
    pub(crate) fn sample(server: ServerId, state: ServerState, report: Option<Report>) -> Self {
        Self {
            server,
            name: server.to_string(),
            role: ServerRole::Switch,
            zone: String::new(),
            cluster: String::new(),
            state,
            cause: String::new(),
            address: None,
            report,
            reported_us: None,
            wanted_revision: 0,
            certificate_expires_us: None,
            sip: Latency::default(),
            icmp: Latency::default(),
        }
    }
}

impl Control {
    /// How all servers are, by name, and the configuration that says which there are. Errors: this
    /// node is none that others report to.
    pub(crate) async fn servers_health(
        &self,
    ) -> Result<(Arc<Snapshot>, Vec<ServerHealth>), Problem> {
        let snapshot = self.platform_snapshot().await?;
        let measured = self.fleet().distances();
        let mut latencies = towards_servers(&measured, now().as_micros());
        let servers = snapshot.servers.iter();
        let mut all: Vec<_> = servers
            .map(|server| {
                let (sip, icmp) = latencies.remove(&server.id).unwrap_or_default();
                ServerHealth {
                    sip,
                    icmp,
                    ..self.server_health(server, snapshot.revision)
                }
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((snapshot, all))
    }

    /// Which servers there are. Errors: this node is none that others report to.
    pub(crate) async fn platform_snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        let newest = self.newest_snapshot().await?;
        let snapshot = newest.borrow().clone();
        if let Some(platform) = self.platform_of() {
            let detail = format!("nodes report to the platform's control, {platform}: ask there");
            return Err(Problem::new(&problem::ELSEWHERE, detail));
        }
        Ok(snapshot)
    }

    /// How a server is, as far as it was heard of.
    pub(crate) fn server_health(&self, server: &Server, wanted_revision: u64) -> ServerHealth {
        let heard = self.fleet().heard(server.id);
        let (state, cause) = judge(server, &heard, now().as_micros());
        let (report, reported_us) = heard.report.unzip();
        ServerHealth {
            server: server.id,
            name: server.name.clone(),
            role: server.role,
            zone: server.zone.clone(),
            cluster: server.cluster.clone(),
            state,
            cause,
            address: heard.line.map(|address| address.ip().to_string()),
            report,
            reported_us,
            wanted_revision,
            certificate_expires_us: server.certificate.as_ref().map(|c| c.expires_us),
            sip: Latency::default(),
            icmp: Latency::default(),
        }
    }
}

fn judge(server: &Server, heard: &Heard, now_us: u64) -> (ServerState, String) {
    let ago_s = |at_us: u64| now_us.saturating_sub(at_us) / 1_000_000;
    if server.revoked_us.is_some() {
        let cause = "its certificate was revoked; a machine can join as it anew";
        return (ServerState::Revoked, cause.into());
    }
    let refused = heard.refused.as_ref();
    let refused = refused.map(|(why, at)| format!("; {} s ago it was refused: {why}", ago_s(*at)));
    let refused = refused.unwrap_or_default();
    let Some((report, at_us)) = &heard.report else {
        if server.certificate.is_none() {
            return (ServerState::Planned, "no machine has joined as it".into());
        }
        let cause = format!("it has not been heard of since control began{refused}");
        return (ServerState::Unreachable, cause);
    };
    let silent_s = ago_s(*at_us);
    if silent_s >= SILENT_MAX_S {
        let cause = format!("nothing was heard of it for {silent_s} s{refused}");
        return (ServerState::Unreachable, cause);
    }
    if let Some(stop) = &server.stopped {
        return match report.listeners.is_empty() {
            true => (ServerState::Stopped, format!("stopped by {}", stop.by)),
            false => (ServerState::Draining, "it is being stopped".into()),
        };
    }
    judge_report(server.role, report)
}

/// What a server that was just heard of says of itself.
fn judge_report(role: ServerRole, report: &Report) -> (ServerState, String) {
    let (one, several, takes) = match role {
        ServerRole::Switch | ServerRole::Dispatcher => ("call", "calls", "it takes calls"),
        ServerRole::Media => ("session", "sessions", "it takes sessions"),
    };
    let used = report.channels;
    match (report.draining, used) {
        (true, 0) => {
            let cause = format!("it takes no {several}, and has none");
            return (ServerState::Drained, cause);
        }
        (true, 1) => return (ServerState::Draining, format!("one {one} goes on")),
        (true, used) => return (ServerState::Draining, format!("{used} {several} go on")),
        (false, _) => {}
    }
    if let Some(limit) = report.channels_limit.filter(|limit| used >= *limit) {
        let what = match role {
            ServerRole::Switch | ServerRole::Dispatcher => "channels",
            ServerRole::Media => "sessions",
        };
        return (ServerState::Full, format!("all {limit} {what} are in use"));
    }
    if let Some(dispatcher) = &report.dispatcher {
        let state = match (dispatcher.taking(), dispatcher.is_whole()) {
            (0, _) => ServerState::Down,
            (_, true) => ServerState::Up,
            (_, false) => ServerState::Degraded,
        };
        return (state, dispatcher.words());
    }
    if report
        .media
        .as_ref()
        .is_some_and(|m| m.load_percent >= 100.0)
    {
        let cause = "all its ports, or all its processor time, are in use";
        return (ServerState::Full, cause.into());
    }
    (ServerState::Up, takes.into())
}

impl Resource for Server {
    const NOUN: &'static str = "servers";
    const SUMMARY: &'static str = "a machine that takes calls";
    const FILTERS: &'static [&'static str] = &["name", "role", "zone", "cluster", "draining"];

    fn zone(&self) -> Option<&str> {
        Some(&self.zone)
    }

    fn new_id(time_ms: u64, random: u128) -> ServerId {
        ServerId::from_parts(time_ms, random)
    }

    /// Who may join as a server is no matter of its fields, and a machine that has joined does what it
    /// has joined for.
    fn seal(draft: &mut Draft<'_>, previous: Option<&Self>) -> Result<(), Problem> {
        if let Some(joined) = previous.filter(|server| server.certificate.is_some()) {
            let role = json!(joined.role);
            let said = draft.fields.entry("role").or_insert_with(|| role.clone());
            if *said != role {
                let message = "a machine has joined as it: join it anew as another server";
                return Err(Problem::invalid_field("role", message));
            }
        }
        let certificate = json!(previous.and_then(|server| server.certificate.as_ref()));
        let revoked = json!(previous.and_then(|server| server.revoked_us));
        let stopped = json!(previous.and_then(|server| server.stopped.as_ref()));
        for (field, value) in [
            ("certificate", certificate),
            ("revoked_us", revoked),
            ("stopped", stopped),
        ] {
            let said = draft.fields.insert(field.into(), value.clone());
            if said.is_some_and(|said| previous.is_none() || said != value) {
                let message = "the platform sets it; leave it out";
                return Err(Problem::invalid_field(field, message));
            }
        }
        Ok(())
    }
}

/// A node reports once a second; one that is silent for so long is not reached.
const SILENT_MAX_S: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DispatcherReport, TargetReport, TargetState};
    use model::JoinTokenId;

    fn server() -> Server {
        serde_json::from_value(json!({
            "id": ServerId::from_parts(1, 1),
            "name": "a",
            "certificate": { "serial": "40", "enrolment": JoinTokenId::from_parts(1, 1), "issued_us": 1, "expires_us": 2 },
        }))
        .unwrap()
    }

    fn heard(report: Report) -> Heard {
        Heard {
            report: Some((report, 10_000_000)),
            ..Heard::default()
        }
    }

    #[test]
    fn what_was_not_heard_of_is_unreachable_and_not_idle() {
        let (state, cause) = judge(&server(), &Heard::default(), 1);
        assert_eq!(state, ServerState::Unreachable);
        assert!(cause.contains("since control began"), "{cause}");
        let silent = judge(&server(), &heard(Report::default()), 16_000_000);
        assert_eq!(silent.0, ServerState::Unreachable);
        assert!(silent.1.contains("6 s"), "{}", silent.1);
    }

    #[test]
    fn a_server_is_stopped_once_no_listener_is_left() {
        let stopped = Server {
            stopped: Some(model::ServerStop {
                at_us: 1,
                by: "person per_1 (ada)".into(),
            }),
            ..server()
        };
        let at = |report| judge(&stopped, &heard(report), 10_000_001);
        let words = "stopped by person per_1 (ada)";
        assert_eq!(
            at(Report::default()),
            (ServerState::Stopped, words.to_owned())
        );
        let open = Report {
            listeners: vec![crate::SocketReport::default()],
            ..Report::default()
        };
        assert_eq!(at(open).0, ServerState::Draining);
        let silent = judge(&stopped, &heard(Report::default()), 16_000_000).0;
        assert_eq!(silent, ServerState::Unreachable, "nobody knows");
    }

    fn of_role(role: ServerRole, report: Report) -> (ServerState, String) {
        let server = Server { role, ..server() };
        judge(&server, &heard(report), 10_000_001)
    }

    fn dispatcher(states: &[TargetState]) -> Report {
        let target = |(at, state): (usize, &TargetState)| TargetReport {
            name: format!("t{at}"),
            state: *state,
            cause: (*state == TargetState::Down).then(|| "probes".into()),
            ..TargetReport::default()
        };
        Report {
            dispatcher: Some(DispatcherReport {
                targets: states.iter().enumerate().map(target).collect(),
                ..DispatcherReport::default()
            }),
            ..Report::default()
        }
    }

    #[test]
    fn a_dispatcher_is_as_its_targets_are() {
        use TargetState::{Down, Drained, Up};
        let judged = |states| of_role(ServerRole::Dispatcher, dispatcher(states));
        let whole = judged(&[Up, Drained]);
        let words = "1 of 2 targets take calls; t1 is drained";
        assert_eq!(whole, (ServerState::Up, words.into()));
        let ailing = judged(&[Down, Up]);
        let words = "1 of 2 targets take calls; t0 is down (probes)";
        assert_eq!(ailing, (ServerState::Degraded, words.into()));
        let words = "no target takes calls; t0 is down (probes)";
        assert_eq!(judged(&[Down]), (ServerState::Down, words.into()));
        let words = "it has no targets";
        assert_eq!(judged(&[]), (ServerState::Down, words.into()));
    }

    #[test]
    fn a_media_server_has_sessions_and_is_full_of_them() {
        let judged = |report| of_role(ServerRole::Media, report);
        let full = Report {
            channels: 2,
            channels_limit: Some(2),
            ..Report::default()
        };
        let words = "all 2 sessions are in use";
        assert_eq!(judged(full), (ServerState::Full, words.into()));
        let draining = Report {
            draining: true,
            channels: 3,
            ..Report::default()
        };
        assert_eq!(
            judged(draining),
            (ServerState::Draining, "3 sessions go on".into())
        );
    }

    #[test]
    fn each_cause_has_its_state() {
        let at = |report| judge(&server(), &heard(report), 10_000_001).0;
        let report = Report {
            channels: 2,
            channels_limit: Some(2),
            ..Report::default()
        };
        assert_eq!(at(report.clone()), ServerState::Full);
        let draining = Report {
            draining: true,
            ..report
        };
        assert_eq!(at(draining), ServerState::Draining);
        let drained = Report {
            draining: true,
            ..Report::default()
        };
        assert_eq!(at(drained), ServerState::Drained);
        assert_eq!(at(Report::default()), ServerState::Up);
        let revoked = Server {
            revoked_us: Some(1),
            ..server()
        };
        let (state, _) = judge(&revoked, &heard(Report::default()), 10_000_001);
        assert_eq!(state, ServerState::Revoked);
        let planned = Server {
            certificate: None,
            ..server()
        };
        assert_eq!(
            judge(&planned, &Heard::default(), 1).0,
            ServerState::Planned
        );
    }
}
