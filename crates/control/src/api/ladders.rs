//! `/v1/traces/ladder` and `/v1/calls/{id}/ladder`: the messages of calls on one axis of time, whichever
//! nodes have seen them.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use model::{CallId, CallView};
use serde::{Deserialize, Serialize};
use store::{TraceLegs, TraceOrder, TraceQuery};
use tokio::time::Instant;
use trace::{Direction, Head, Ladder, Wanted, Witnessed};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::{Id, Params};
use crate::live_calls::UnheardServer;
use crate::reach::Reach;
use crate::traces::{PlatformPlace, Told, TraceSearch, TracesOfAll};
use crate::{Control, Problem, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(ladder))
        .routes(routes!(ladder_of_call))
}

/// Messages on one axis of time.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct LadderView {
    #[serde(flatten)]
    ladder: Ladder,
    /// Servers whose messages are missing here, or some of them.
    unheard: Vec<UnheardServer>,
}

/// Whose messages are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LadderParams {
    /// Messages with this Call-ID.
    sip_call_id: String,
}

/// The messages with a Call-ID, and those of the calls that it belongs to, of all servers
#[utoipa::path(
    get,
    path = "/v1/traces/ladder",
    tag = "traces",
    params(LadderParams),
    responses((status = 200, description = "As a ladder; empty if none is kept.", body = LadderView)),
)]
async fn ladder(
    State(control): State<Control>,
    Params(params): Params<LadderParams>,
) -> Result<Json<LadderView>, Problem> {
    let wanted = CallTrace {
        sip_call_ids: vec![params.sip_call_id],
        ..CallTrace::default()
    };
    Ok(Json(draw(&control, wanted).await))
}

/// The messages of all legs of a call, on one axis of time, of all servers
#[utoipa::path(
    get,
    path = "/v1/calls/{id}/ladder",
    tag = "traces",
    params(("id" = String, Path, description = "The call, in progress or ended.")),
    responses((status = 200, description = "As a ladder; empty if none is kept.", body = LadderView)),
)]
async fn ladder_of_call(
    State(control): State<Control>,
    Id(call): Id<CallId>,
) -> Result<Json<LadderView>, Problem> {
    let wanted = trace_of(&control, call).await?;
    let view = draw(&control, wanted.clone()).await;
    if view.ladder.rungs.is_empty() {
        tell_where(&control, call, &wanted, &view.unheard).await?;
    }
    Ok(Json(view))
}

/// Nothing was found: who has had the call may be one that did not answer, or is none of those that
/// are asked here. Errors: so it is.
async fn tell_where(
    control: &Control,
    call: CallId,
    wanted: &CallTrace,
    unheard: &[UnheardServer],
) -> Result<(), Problem> {
    if let [first, ..] = unheard {
        let detail = format!(
            "no server that answers has its messages; {}: {}",
            first.name, first.why
        );
        return Err(Problem::new(&problem::ELSEWHERE, detail));
    }
    // Here all servers were asked.
    if control.is_of_several().await {
        return Ok(());
    }
    let found = control.cdrs(move |cdrs| cdrs.get(call)).await?;
    let Some(cdr) = found.filter(|cdr| cdr.node != control.platform().node()) else {
        return Ok(());
    };
    let first = wanted.sip_call_ids.first().map_or("", String::as_str);
    let detail = format!(
        "its messages are at {}: tandem trace ladder {first} there",
        cdr.node
    );
    Err(Problem::new(&problem::ELSEWHERE, detail))
}

/// The messages of all nodes that have these Call-IDs, or belong to the same calls, on one axis.
async fn draw(control: &Control, wanted: CallTrace) -> LadderView {
    let first = wanted.sip_call_ids.first().cloned();
    let mut found = of_calls(control, wanted, RUNGS_MAX + 1, LADDER_TIME).await;
    // Clocks of others may differ, and they tell late.
    found.messages.sort_by_key(|told| told.place);
    let is_cut = found.has_more || found.messages.len() > RUNGS_MAX;
    found.messages.truncate(RUNGS_MAX);
    let messages: Vec<Witnessed> = found.messages.into_iter().map(Told::witnessed).collect();
    let first = first.as_deref().filter(|_| !messages.is_empty());
    LadderView {
        ladder: Ladder {
            is_cut,
            ..Ladder::of(&messages, first)
        },
        unheard: found.unheard,
    }
}

/// The messages of calls at all nodes, the oldest first. A node tells by which other Call-IDs a call
/// goes that it had; those are looked for at the others, as a dispatcher knows each leg alone.
pub(super) async fn of_calls(
    control: &Control,
    wanted: CallTrace,
    limit: usize,
    patience: Duration,
) -> TracesOfAll {
    let until = Instant::now() + patience;
    let mut all = TracesOfAll::default();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut kept: BTreeSet<PlatformPlace> = BTreeSet::new();
    let mut next = wanted.sip_call_ids;
    for _ in 0..ROUNDS_MAX {
        next.truncate(CALL_IDS_MAX.saturating_sub(asked.len()));
        if next.is_empty() {
            break;
        }
        asked.extend(next.iter().cloned());
        let search = TraceSearch {
            query: TraceQuery {
                wanted: Wanted {
                    from_us: Some(wanted.from_us),
                    to_us: Some(wanted.to_us),
                    call_ids: std::mem::take(&mut next),
                    ..Wanted::default()
                },
                legs: TraceLegs::All,
                order: TraceOrder::OldestFirst,
                beyond: None,
                limit,
            },
            server: None,
            after: None,
            limit,
            patience: until.saturating_duration_since(Instant::now()),
        };
        let found = control.search_traces(search).await;
        all.has_more |= found.has_more;
        for one in found.unheard {
            if !all.unheard.iter().any(|known| known.name == one.name) {
                all.unheard.push(one);
            }
        }
        for told in found.messages {
            if !kept.insert(told.place) {
                continue;
            }
            if told.seen.direction != Direction::Elsewhere {
                let id = String::from_utf8_lossy(Head::read(&told.seen.payload).call_id);
                if !id.is_empty() && !asked.contains(&*id) && !next.iter().any(|known| *known == id)
                {
                    next.push(id.into_owned());
                }
            }
            all.messages.push(told);
        }
    }
    all
}

/// By what the SIP messages of a call are known.
#[derive(Clone, Debug)]
pub(super) struct CallTrace {
    /// Call-IDs of its legs, as far as they are known; the caller's first.
    pub(super) sip_call_ids: Vec<String>,
    /// Seen then or later; microseconds since the Unix epoch.
    pub(super) from_us: u64,
    /// Seen before.
    pub(super) to_us: u64,
}

impl Default for CallTrace {
    fn default() -> Self {
        Self {
            sip_call_ids: Vec::new(),
            from_us: 0,
            to_us: u64::MAX,
        }
    }
}

/// By what the messages of a call are known, the caller's Call-ID first.
pub(super) async fn trace_of(control: &Control, call: CallId) -> Result<CallTrace, Problem> {
    if let Some(live) = control.platform().call(call).await? {
        return Ok(trace_of_live(live));
    }
    if let Some(cdr) = control.cdrs(move |cdrs| cdrs.get(call)).await? {
        let ids = [cdr.sip_call_id, cdr.sip_call_id_b];
        return Ok(CallTrace {
            sip_call_ids: ids.into_iter().filter(|id| !id.is_empty()).collect(),
            from_us: cdr.start_us.saturating_sub(BEFORE_US),
            to_us: cdr.end_us.saturating_add(AFTER_US),
        });
    }
    let found = control.live_call(call, &Reach::Everywhere).await?.found;
    let (_, live) = found.ok_or_else(|| Problem::not_found(format!("there is no call {call}")))?;
    Ok(trace_of_live(live))
}

fn trace_of_live(live: CallView) -> CallTrace {
    let ids = live.legs.into_iter().map(|leg| leg.sip_call_id);
    CallTrace {
        sip_call_ids: ids.collect(),
        from_us: live.start_us.saturating_sub(BEFORE_US),
        to_us: u64::MAX,
    }
}

/// Messages of one ladder.
const RUNGS_MAX: usize = 1_000;
/// A proxy before us has seen the INVITE earlier, and its clock may differ.
const BEFORE_US: u64 = 10_000_000;
/// Repetitions of the last messages (RFC 3261 §17: 64 T1), and a BYE after a crash.
const AFTER_US: u64 = 40_000_000;
/// How long a ladder may take, of which each question has `ANSWER_TIME` of the nodes.
const LADDER_TIME: Duration = Duration::from_secs(6);
/// How often the legs of legs are looked for: a call that goes through two switches has them.
const ROUNDS_MAX: usize = 3;
/// Call-IDs that one ladder is looked for by.
const CALL_IDS_MAX: usize = 64;
