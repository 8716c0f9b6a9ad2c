//! `/v1/traces`: SIP messages as the nodes of the platform have seen them, or were told of by others.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::{CallId, ServerId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{TraceId, TraceLegs, TraceOrder, TraceQuery};
use tokio::time::Instant;
use trace::{Direction, Head, Kind, PCAP_MEDIA_TYPE, Seen, Start, Wanted, Witnessed};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ladders::{CallTrace, of_calls, trace_of};
use crate::extract::{Id, Params};
use crate::live_calls::{ANSWER_TIME, UnheardServer};
use crate::paging;
use crate::traces::{PlatformPlace, Told, TraceName, TraceSearch, TracesOfAll};
use crate::{Answer, Control, PlatformError, Problem, Question, TraceStatus, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(status))
        .routes(routes!(export_pcap))
        .routes(routes!(export_text))
        .routes(routes!(show))
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
    /// Whether the other legs of the calls are wanted, too, where a Call-ID or a call is given. Of a call
    /// they are unless it is `named` here.
    legs: Option<Legs>,
    /// Seen then or later; microseconds since the Unix epoch.
    from_us: Option<u64>,
    /// Seen before; microseconds since the Unix epoch.
    to_us: Option<u64>,
    /// Kept by this server.
    #[param(value_type = Option<String>)]
    server: Option<ServerId>,
}

impl TraceParams {
    fn legs(&self) -> Legs {
        let usual = match self.call {
            Some(_) => Legs::All,
            None => Legs::Named,
        };
        self.legs.unwrap_or(usual)
    }

    /// Whether all messages of calls are wanted, whatever they are.
    fn is_of_whole_calls(&self) -> bool {
        let named = self.call.is_some() || self.sip_call_id.is_some();
        let narrowed = self.party.is_some() || self.address.is_some() || self.kind.is_some();
        let one_part = self.server.is_some() || self.cursor.is_some();
        named && self.legs() == Legs::All && !narrowed && !one_part
    }
}

/// One page of messages.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct TracePage {
    /// What was found.
    items: Vec<TraceMessage>,
    /// To be given as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
    /// Servers whose messages are missing here, or some of them.
    unheard: Vec<UnheardServer>,
}

/// Which legs of a call are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Legs {
    /// Those that are known by the Call-ID, or from the record of the call.
    Named,
    /// All.
    All,
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
    /// Identifies it in the API.
    id: String,
    /// The server that keeps it; `None` where there is no list of servers.
    server: Option<ServerId>,
    /// What people call that server; empty where the platform is one machine.
    server_name: String,
    /// When it was seen; microseconds since the Unix epoch.
    at_us: u64,
    /// What carried it: `udp`, `tcp`, `tls`, `ws`, `wss`.
    transport: String,
    /// Which way it went.
    direction: Direction,
    /// The system that has told of it; `None`: the server has seen it.
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
            server: None,
            server_name: String::new(),
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

    fn told(told: &Told) -> Self {
        Self {
            server: told.server,
            server_name: told.server_name.clone(),
            ..Self::of(told.place.name().to_string(), &told.seen)
        }
    }
}

/// SIP messages of all servers, the latest first
///
/// Control asks each switch and each dispatcher that has joined. Who does not answer is named in
/// `unheard`.
#[utoipa::path(
    get,
    path = "/v1/traces",
    tag = "traces",
    params(TraceParams),
    responses((status = 200, description = "Those that match every parameter.", body = TracePage)),
)]
async fn list(
    State(control): State<Control>,
    Params(params): Params<TraceParams>,
) -> Result<Json<TracePage>, Problem> {
    let limit = paging::limit(params.limit)?;
    let found = find(&control, params, limit, ANSWER_TIME).await?;
    let last = found.messages.last().filter(|_| found.has_more);
    Ok(Json(TracePage {
        next_cursor: last.map(|told| told.place.to_string()),
        items: found.messages.iter().map(TraceMessage::told).collect(),
        unheard: found.unheard,
    }))
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
    let make = |found: Exported| trace::pcap(&trace::each_once(found.messages));
    let (file, unheard) = export(control, params, make).await?;
    let headers = [
        (header::CONTENT_TYPE, PCAP_MEDIA_TYPE),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"trace.pcap\"",
        ),
    ];
    Ok((headers, unheard, file).into_response())
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
    let make = |found: Exported| {
        let missing = found
            .unheard
            .iter()
            .map(|(name, why)| format!("*** messages of {name} are missing: {why}\n"));
        missing.collect::<String>() + &trace::text(&found.messages)
    };
    let (file, unheard) = export(control, params, make).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"trace.txt\"",
        ),
    ];
    Ok((headers, unheard, file).into_response())
}

/// What a file is made of.
struct Exported {
    /// In the order of time.
    messages: Vec<Witnessed>,
    /// Servers whose messages are missing, and why.
    unheard: Vec<(String, String)>,
}

/// The file that is made of messages in the order of time, and a header that names the servers whose
/// messages are missing in it. It may be long: nobody else waits for it.
async fn export<T: Send + 'static>(
    State(control): State<Control>,
    Params(params): Params<TraceParams>,
    make: impl FnOnce(Exported) -> T + Send + 'static,
) -> Result<(T, Option<[(HeaderName, HeaderValue); 1]>), Problem> {
    let limit = match params.limit {
        Some(_) => paging::limit(params.limit)?,
        None => EXPORT_MAX,
    };
    let crowded = "others are being served with files of traces, which are large";
    let _turn = control
        .exports()
        .ok_or_else(|| Problem::too_many(crowded, EXPORT_PAUSE_S))?;
    let found = match params.is_of_whole_calls() {
        true => {
            of_calls(
                &control,
                calls(&control, &params).await?,
                limit,
                EXPORT_TIME,
            )
            .await
        }
        false => find(&control, params, limit, EXPORT_TIME).await?,
    };
    let unheard: Vec<_> = found.unheard.into_iter().map(|s| (s.name, s.why)).collect();
    let names: Vec<&str> = unheard.iter().map(|(name, _)| &**name).collect();
    let names = HeaderValue::from_str(&names.join(", ")).ok();
    let header = names.filter(|_| !unheard.is_empty());
    let made = tokio::task::spawn_blocking(move || {
        let mut messages = found.messages;
        messages.sort_by_key(|told| told.place);
        make(Exported {
            messages: messages.into_iter().map(Told::witnessed).collect(),
            unheard,
        })
    });
    let made = made
        .await
        .map_err(|error| Problem::new(&problem::INTERNAL, error.to_string()))?;
    Ok((made, header.map(|names| [(UNHEARD, names)])))
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
    Id(name): Id<TraceName>,
) -> Result<Json<Value>, Problem> {
    let id = name.id.to_string();
    let found = match name.server {
        None => message(&control, &id).await?,
        Some(server) => message_at(&control, server, id.clone()).await?,
    };
    found.map(Json).ok_or_else(|| {
        Problem::not_found(format!(
            "there is no message {id}; it may have been too old"
        ))
    })
}

/// A message of this node with its text, as the API shows it.
pub(crate) async fn message(control: &Control, id: &str) -> Result<Option<Value>, PlatformError> {
    let Ok(id) = id.parse::<TraceId>() else {
        return Ok(None);
    };
    let found = control.platform().traced_message(id).await?;
    Ok(found.map(|seen| shown(id, &seen)))
}

/// A message with its text, as the API shows it.
#[must_use]
pub fn shown(id: TraceId, seen: &Seen) -> Value {
    json!(TraceMessage {
        text: Some(String::from_utf8_lossy(&seen.payload).into_owned()),
        ..TraceMessage::of(id.to_string(), seen)
    })
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
            message["server"] = json!(server);
            message["server_name"] = json!(seat.name());
            Ok(Some(message))
        }
        Ok(_) => Ok(None),
        Err(why) => Err(Problem::unavailable(format!("{}: {why}", seat.name()))),
    }
}

/// The calls whose messages are wanted.
async fn calls(control: &Control, params: &TraceParams) -> Result<CallTrace, Problem> {
    let mut wanted = match params.call {
        Some(call) => trace_of(control, call).await?,
        None => CallTrace::default(),
    };
    wanted.sip_call_ids.extend(params.sip_call_id.clone());
    wanted.from_us = wanted.from_us.max(params.from_us.unwrap_or(0));
    wanted.to_us = wanted.to_us.min(params.to_us.unwrap_or(u64::MAX));
    Ok(wanted)
}

/// The latest messages; those of a call with all its legs.
async fn find(
    control: &Control,
    params: TraceParams,
    limit: usize,
    patience: Duration,
) -> Result<TracesOfAll, Problem> {
    let after: Option<PlatformPlace> = paging::cursor(params.cursor.as_deref())?;
    let legs = params.legs();
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
        wanted.from_us = Some(of_call.from_us.max(wanted.from_us.unwrap_or(0)));
        wanted.to_us = Some(of_call.to_us.min(wanted.to_us.unwrap_or(u64::MAX)));
        wanted.call_ids.extend(of_call.sip_call_ids);
        if wanted.call_ids.is_empty() {
            return Ok(TracesOfAll::default());
        }
    }
    let search = TraceSearch {
        query: TraceQuery {
            wanted,
            legs: match legs {
                Legs::Named => TraceLegs::Named,
                Legs::All => TraceLegs::All,
            },
            order: TraceOrder::NewestFirst,
            beyond: None,
            limit,
        },
        server: params.server,
        after,
        limit,
        patience,
    };
    Ok(control.search_traces(search).await)
}

/// Names the servers whose messages are missing in a file.
const UNHEARD: HeaderName = HeaderName::from_static("tandem-unheard");
/// Messages of one export.
const EXPORT_MAX: usize = 10_000;
/// Seconds after which who found others exporting may try again.
const EXPORT_PAUSE_S: u64 = 5;
/// How long the messages of a file may take.
const EXPORT_TIME: Duration = Duration::from_secs(30);
