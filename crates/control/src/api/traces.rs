//! `/v1/traces`: SIP messages as this node has seen them, or was told of by others.

use std::net::IpAddr;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::{CallId, CallView, ServerId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{TraceId, TraceOrder};
use tokio::time::Instant;
use trace::{Direction, Head, Kind, Ladder, PCAP_MEDIA_TYPE, Seen, Start, Wanted};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::{Id, Params};
use crate::live_calls::{ANSWER_TIME, Seat};
use crate::paging::{self, Page};
use crate::reach::Reach;
use crate::{Answer, CallTrace, Control, PlatformError, Problem, Question, TraceStatus, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(status))
        .routes(routes!(ladder))
        .routes(routes!(export_pcap))
        .routes(routes!(export_text))
        .routes(routes!(show))
        .routes(routes!(ladder_of_call))
}

/// Which messages are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TraceParams {
    /// How many items at most: 1 to 500, 50 if left out. Exports have 10,000 (of 64 MiB together) if it is
    /// left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Messages of all legs of this call.
    #[param(value_type = Option<String>)]
    call: Option<CallId>,
    /// Messages with this Call-ID.
    sip_call_id: Option<String>,
    /// Messages with this user or number in From, To or the request's URI; a plus before it does not
    /// count.
    party: Option<String>,
    /// Messages from or to this address.
    #[param(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// Messages of this kind.
    kind: Option<TraceKind>,
    /// Seen then or later; microseconds since the Unix epoch.
    from_us: Option<u64>,
    /// Seen before; microseconds since the Unix epoch.
    to_us: Option<u64>,
}

/// Kinds of messages.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TraceKind {
    /// Of calls.
    Calls,
    /// REGISTER and its answers.
    Registrations,
    /// OPTIONS and its answers.
    Options,
    /// MESSAGE, SUBSCRIBE, NOTIFY and PUBLISH, and their answers.
    Others,
}

/// A message that was seen.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TraceMessage {
    /// Identifies it in the API, on this node.
    id: String,
    /// When it was seen; microseconds since the Unix epoch.
    at_us: u64,
    /// What carried it: `udp`, `tcp`, `tls`, `ws`, `wss`.
    transport: String,
    /// Which way it went.
    direction: Direction,
    /// The system that has told of it; `None`: this node has seen it.
    seen_by: Option<String>,
    /// Who sent it, `address:port`.
    from: String,
    /// To whom.
    to: String,
    /// Its first line in short: `INVITE`, `200 OK`.
    title: String,
    /// The method: of the request, or of what a response answers.
    method: String,
    /// The status of a response.
    status: Option<u16>,
    /// Call-ID.
    sip_call_id: String,
    /// The user part of From.
    caller: String,
    /// The user part of To.
    called: String,
    /// Bytes that are kept.
    bytes: u32,
    /// Bytes of the body that are not.
    left_out_bytes: u32,
    /// The message, its secrets as asterisks; in lists it is left out.
    text: Option<String>,
}

impl TraceMessage {
    fn of(id: String, seen: &Seen) -> Self {
        let head = Head::read(&seen.payload);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let title = match head.start {
            Start::Request { method, .. } => text(method),
            Start::Response { status, phrase } => format!("{status} {}", text(phrase)),
            Start::Unreadable => "not readable".to_owned(),
        };
        Self {
            id,
            at_us: seen.at_us,
            transport: seen.transport.param_name().to_owned(),
            direction: seen.direction,
            seen_by: (seen.direction == Direction::Elsewhere).then(|| seen.node.to_string()),
            from: seen.from.to_string(),
            to: seen.to.to_string(),
            title,
            method: text(head.method()),
            status: (head.status() != 0).then(|| head.status()),
            sip_call_id: text(head.call_id),
            caller: text(head.from.user),
            called: text(head.to.user),
            bytes: seen.payload.len() as u32,
            left_out_bytes: seen.left_out_bytes,
            text: None,
        }
    }
}

/// SIP messages, the latest first
#[utoipa::path(
    get,
    path = "/v1/traces",
    tag = "traces",
    params(TraceParams),
    responses((status = 200, description = "Those that match every parameter.", body = Page<TraceMessage>)),
)]
async fn list(
    State(control): State<Control>,
    Params(params): Params<TraceParams>,
) -> Result<Json<Page<TraceMessage>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let found = find(&control, params, limit + 1).await?;
    let items = found
        .iter()
        .map(|(id, seen)| TraceMessage::of(id.to_string(), seen));
    Ok(Json(Page::cut(items.collect(), limit, |message| {
        message.id.clone()
    })))
}

/// What is kept, and what was lost
#[utoipa::path(
    get,
    path = "/v1/traces/status",
    tag = "traces",
    responses((status = 200, description = "Of this node.", body = TraceStatus)),
)]
async fn status(State(control): State<Control>) -> Result<Json<TraceStatus>, Problem> {
    Ok(Json(control.platform().trace_status().await?))
}

/// Whose messages are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LadderParams {
    /// Messages with this Call-ID.
    sip_call_id: String,
}

/// The messages with a Call-ID, and those of the call that it belongs to
#[utoipa::path(
    get,
    path = "/v1/traces/ladder",
    tag = "traces",
    params(LadderParams),
    responses((status = 200, description = "As a ladder; empty if none is kept.", body = Ladder)),
)]
async fn ladder(
    State(control): State<Control>,
    Params(params): Params<LadderParams>,
) -> Result<Json<Ladder>, Problem> {
    let wanted = CallTrace {
        sip_call_ids: vec![params.sip_call_id],
        from_us: 0,
        to_us: u64::MAX,
    };
    Ok(Json(draw(&control, wanted).await?))
}

/// The messages of all legs of a call, on one axis of time
#[utoipa::path(
    get,
    path = "/v1/calls/{id}/ladder",
    tag = "traces",
    params(("id" = String, Path, description = "The call, in progress or ended.")),
    responses((status = 200, description = "As a ladder; empty if none is kept.", body = Ladder)),
)]
async fn ladder_of_call(
    State(control): State<Control>,
    Id(call): Id<CallId>,
) -> Result<Json<Ladder>, Problem> {
    let (wanted, seat) = whereabouts(&control, call).await?;
    if let Some(seat) = seat.filter(|seat| !seat.is_own()) {
        return ladder_at(&control, &seat, wanted).await.map(Json);
    }
    let first = wanted.sip_call_ids.first().cloned().unwrap_or_default();
    let ladder = draw(&control, wanted).await?;
    if ladder.rungs.is_empty() {
        tell_where(&control, call, &first).await?;
    }
    Ok(Json(ladder))
}

/// The messages of a call are with the node that had it. Errors: that is another.
async fn tell_where(control: &Control, call: CallId, sip_call_id: &str) -> Result<(), Problem> {
    let found = control.cdrs(move |cdrs| cdrs.get(call)).await?;
    let Some(cdr) = found.filter(|cdr| cdr.node != control.platform().node()) else {
        return Ok(());
    };
    let detail = format!(
        "its messages are at {}: tandem trace ladder {sip_call_id} there",
        cdr.node
    );
    Err(Problem::new(&problem::ELSEWHERE, detail))
}

/// The ladder as a joined server draws it. Its messages are named so that they can be asked for here.
async fn ladder_at(control: &Control, seat: &Seat, wanted: CallTrace) -> Result<Ladder, Problem> {
    let first = wanted.sip_call_ids.first().cloned().unwrap_or_default();
    let until = Instant::now() + ANSWER_TIME;
    let question = Question::Ladder { wanted };
    let why = match control.ask_seat(seat, &question, until).await {
        Ok(Answer::Ladder(mut ladder)) => {
            let suffix = seat.server().map(|server| format!("@{server}"));
            let suffix = suffix.unwrap_or_default();
            ladder.rungs.iter_mut().for_each(|r| r.id += &suffix);
            return Ok(*ladder);
        }
        Ok(_) => "it does not say them".to_owned(),
        Err(why) => why,
    };
    let name = seat.name();
    let detail =
        format!("its messages are at {name}: {why}; tandem trace ladder {first} there shows them");
    Err(Problem::new(&problem::ELSEWHERE, detail))
}

/// The ladder of messages of this node.
pub(crate) async fn draw(control: &Control, wanted: CallTrace) -> Result<Ladder, PlatformError> {
    let first = wanted.sip_call_ids.first().cloned();
    let mut found = control
        .platform()
        .trace_of_call(wanted, RUNGS_MAX + 1)
        .await?;
    let is_cut = found.len() > RUNGS_MAX;
    found.truncate(RUNGS_MAX);
    // Clocks of others may differ, and they tell late.
    found.sort_by_key(|(_, seen)| seen.at_us);
    let found: Vec<_> = found
        .into_iter()
        .map(|(id, seen)| (id.to_string(), seen))
        .collect();
    let first = first.as_deref().filter(|_| !found.is_empty());
    let ladder = Ladder::of(&found, first);
    Ok(Ladder { is_cut, ..ladder })
}

/// SIP messages as a capture file, in the order in which they were seen
///
/// For Wireshark, tshark and sngrep. Each message is one UDP datagram, whatever carried it.
#[utoipa::path(
    get,
    path = "/v1/traces/export.pcap",
    tag = "traces",
    params(TraceParams),
    responses((status = 200, description = "The file (libpcap).", body = String, content_type = "application/vnd.tcpdump.pcap")),
)]
async fn export_pcap(
    control: State<Control>,
    params: Params<TraceParams>,
) -> Result<Response, Problem> {
    let file = export(control, params, trace::pcap).await?;
    let headers = [
        (header::CONTENT_TYPE, PCAP_MEDIA_TYPE),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"trace.pcap\"",
        ),
    ];
    Ok((headers, file).into_response())
}

/// SIP messages as text, in the order in which they were seen
#[utoipa::path(
    get,
    path = "/v1/traces/export.txt",
    tag = "traces",
    params(TraceParams),
    responses((status = 200, description = "One after the other.", body = String, content_type = "text/plain")),
)]
async fn export_text(
    control: State<Control>,
    params: Params<TraceParams>,
) -> Result<Response, Problem> {
    let file = export(control, params, trace::text).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"trace.txt\"",
        ),
    ];
    Ok((headers, file).into_response())
}

/// The file that is made of messages in the order of time. It may be long: nobody else waits for
/// it.
async fn export<T: Send + 'static>(
    State(control): State<Control>,
    Params(params): Params<TraceParams>,
    make: fn(&[Seen]) -> T,
) -> Result<T, Problem> {
    let limit = match params.limit {
        Some(_) => paging::limit(params.limit)?,
        None => EXPORT_MAX,
    };
    let crowded = "others are being served with files of traces, which are large";
    let _turn = control
        .exports()
        .ok_or_else(|| Problem::too_many(crowded, EXPORT_PAUSE_S))?;
    let found = find(&control, params, limit).await?;
    let made = tokio::task::spawn_blocking(move || {
        let mut messages: Vec<Seen> = found.into_iter().map(|(_, seen)| seen).collect();
        messages.reverse();
        messages.sort_by_key(|seen| seen.at_us);
        make(&messages)
    });
    made.await
        .map_err(|error| Problem::new(&problem::INTERNAL, error.to_string()))
}

/// One message with its text
#[utoipa::path(
    get,
    path = "/v1/traces/{id}",
    tag = "traces",
    params(("id" = String, Path, description = "The message.")),
    responses((status = 200, description = "The message.", body = TraceMessage)),
)]
async fn show(
    State(control): State<Control>,
    Id(MessageName { id, server }): Id<MessageName>,
) -> Result<Json<Value>, Problem> {
    let found = match server {
        None => message(&control, &id).await?,
        Some(server) => message_at(&control, server, id.clone()).await?,
    };
    found.map(Json).ok_or_else(|| {
        Problem::not_found(format!(
            "there is no message {id}; it may have been too old"
        ))
    })
}

/// What names a message: as its node names it, and with `@` the joined server that has it.
struct MessageName {
    id: String,
    server: Option<ServerId>,
}

impl FromStr for MessageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, server) = match text.split_once('@') {
            Some((id, server)) => (id, Some(server)),
            None => (text, None),
        };
        let read: Result<TraceId, _> = id.parse();
        read.map_err(|error| error.to_string())?;
        let server = server.map(str::parse).transpose();
        Ok(Self {
            id: id.to_owned(),
            server: server.map_err(|error: model::IdError| error.to_string())?,
        })
    }
}

/// A message of this node with its text, as the API shows it.
pub(crate) async fn message(control: &Control, id: &str) -> Result<Option<Value>, PlatformError> {
    let Ok(id) = id.parse::<TraceId>() else {
        return Ok(None);
    };
    let found = control.platform().traced_message(id).await?;
    let shown = found.map(|seen| TraceMessage {
        text: Some(String::from_utf8_lossy(&seen.payload).into_owned()),
        ..TraceMessage::of(id.to_string(), &seen)
    });
    Ok(shown.map(|message| json!(message)))
}

/// The same of a joined server.
async fn message_at(
    control: &Control,
    server: ServerId,
    id: String,
) -> Result<Option<Value>, Problem> {
    let Some(seat) = control.seat_of(server).await else {
        return Ok(None);
    };
    let until = Instant::now() + ANSWER_TIME;
    let question = Question::Message { id };
    match control.ask_seat(&seat, &question, until).await {
        Ok(Answer::Message(Some(mut message))) => {
            if let Some(id) = message["id"].as_str().map(|id| format!("{id}@{server}")) {
                message["id"] = json!(id);
            }
            Ok(Some(message))
        }
        Ok(_) => Ok(None),
        Err(why) => Err(Problem::unavailable(format!("{}: {why}", seat.name()))),
    }
}

/// The latest messages first.
async fn find(
    control: &Control,
    params: TraceParams,
    limit: usize,
) -> Result<Vec<(TraceId, Seen)>, Problem> {
    let after: Option<TraceId> = paging::cursor(params.cursor.as_deref())?;
    let mut wanted = Wanted {
        from_us: params.from_us,
        to_us: params.to_us,
        call_ids: params.sip_call_id.into_iter().collect(),
        keys: Vec::new(),
        party: params.party,
        address: params.address,
        kind: params.kind.map(|kind| match kind {
            TraceKind::Calls => Kind::Calls,
            TraceKind::Registrations => Kind::Registrations,
            TraceKind::Options => Kind::Options,
            TraceKind::Others => Kind::Others,
        }),
    };
    if let Some(call) = params.call {
        let of_call = trace_of(control, call).await?;
        wanted.keys = control.platform().keys_of_call(of_call.clone()).await?;
        wanted.from_us = Some(of_call.from_us.max(wanted.from_us.unwrap_or(0)));
        wanted.to_us = Some(of_call.to_us.min(wanted.to_us.unwrap_or(u64::MAX)));
        wanted.call_ids.extend(of_call.sip_call_ids);
    }
    let newest = TraceOrder::NewestFirst;
    Ok(control
        .platform()
        .traced(wanted, newest, after, limit)
        .await?)
}

/// By what the messages of a call are known, the caller's Call-ID first.
async fn trace_of(control: &Control, call: CallId) -> Result<CallTrace, Problem> {
    Ok(whereabouts(control, call).await?.0)
}

/// The same, and the server that has them, as far as it is known.
async fn whereabouts(
    control: &Control,
    call: CallId,
) -> Result<(CallTrace, Option<Seat>), Problem> {
    if let Some(live) = control.platform().call(call).await? {
        return Ok((trace_of_live(live), None));
    }
    if let Some(cdr) = control.cdrs(move |cdrs| cdrs.get(call)).await? {
        let ids = [cdr.sip_call_id, cdr.sip_call_id_b];
        let wanted = CallTrace {
            sip_call_ids: ids.into_iter().filter(|id| !id.is_empty()).collect(),
            from_us: cdr.start_us.saturating_sub(BEFORE_US),
            to_us: cdr.end_us.saturating_add(AFTER_US),
        };
        let seat = if cdr.node == control.platform().node() {
            None
        } else {
            control.seat_of_machine(&cdr.node).await
        };
        return Ok((wanted, seat));
    }
    let found = control.live_call(call, &Reach::Everywhere).await?.found;
    let (seat, live) =
        found.ok_or_else(|| Problem::not_found(format!("there is no call {call}")))?;
    Ok((trace_of_live(live), Some(seat)))
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
/// Messages of one export.
const EXPORT_MAX: usize = 10_000;
/// Seconds after which who found others exporting may try again.
const EXPORT_PAUSE_S: u64 = 5;
/// A proxy before us has seen the INVITE earlier, and its clock may differ.
const BEFORE_US: u64 = 10_000_000;
/// Repetitions of the last messages (RFC 3261 §17: 64 T1), and a BYE after a crash.
const AFTER_US: u64 = 40_000_000;
