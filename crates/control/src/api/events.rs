//! `/v1/events`: what happens, as it happens, by server-sent events.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use model::{ServerId, ZoneId};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth;
use crate::control::Caller;
use crate::events::EventId;
use crate::extract::Params;
use crate::paging::{self, Page};
use crate::reach::Reach;
use crate::session::Way;
use crate::{Control, PlatformEvent, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(stream))
        .routes(routes!(recent))
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventParams {
    /// Topics, separated by commas; all if left out.
    topics: Option<String>,
    /// As the header Last-Event-ID, for clients that cannot set it.
    last_event_id: Option<String>,
}

/// What happens, as it happens
///
/// Each message has the event's name as `event`, a place to resume at as `id`, and a
/// PlatformEvent as `data`. A message `gap` says that events are missing before the next: what
/// is shown has to be read again.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(
        EventParams,
        ("Last-Event-ID" = Option<String>, Header, description = "Goes on after this event."),
    ),
    responses((status = 200, description = "A stream that does not end.", body = PlatformEvent, content_type = "text/event-stream")),
)]
async fn stream(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    way: Way,
    headers: HeaderMap,
    Params(params): Params<EventParams>,
) -> Result<Response, Problem> {
    let header = headers
        .get("last-event-id")
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let place = match header.or(params.last_event_id) {
        None => control.ring().newest(),
        Some(text) => text.parse().map_err(|_| {
            Problem::malformed_field(
                "Last-Event-ID",
                "the id of an event of this stream is accepted",
            )
        })?,
    };
    let reader = Reader {
        headers,
        source: (caller.source, way),
        checked: Instant::now(),
        wanted: Wanted {
            topics: params.topics.as_deref().map(topics_of),
            reach: caller.reach.clone(),
        },
        zones: caller.zones().to_vec(),
    };
    let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
    tokio::spawn(feed(control, place, reader, sender));
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let events = Sse::new(ReceiverStream::new(receiver)).keep_alive(keep_alive);
    Ok(events.into_response())
}

/// Which of the latest events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RecentParams {
    /// How many items at most: 1 to 500, 50 if left out.
    limit: Option<usize>,
    /// Topics, separated by commas; all if left out.
    topics: Option<String>,
    /// Events of this server.
    #[param(value_type = Option<String>)]
    server: Option<ServerId>,
}

/// What has happened last, the latest first
///
/// Events are kept in memory: as many as 4,096, those from when somebody watched, and two minutes
/// longer.
#[utoipa::path(
    get,
    path = "/v1/events/recent",
    tag = "events",
    params(RecentParams),
    responses((status = 200, description = "Those that match every parameter.", body = Page<PlatformEvent>)),
)]
async fn recent(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<RecentParams>,
) -> Result<Json<Page<PlatformEvent>>, Problem> {
    let limit = paging::limit(params.limit)?;
    caller.reach.check_server(params.server)?;
    let wanted = Wanted {
        topics: params.topics.as_deref().map(topics_of),
        reach: caller.reach,
    };
    let own = control.own_server();
    let items = control.ring().latest(limit, |event| {
        let is_of = |wanted| event.server.or(own) == Some(wanted);
        params.server.is_none_or(is_of) && wanted.has(event, own)
    });
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Which events somebody is told of.
struct Wanted {
    /// Only these; `None`: all.
    topics: Option<Vec<String>>,
    /// Of servers within it.
    reach: Arc<Reach>,
}

impl Wanted {
    /// Whether an event is one; `own` is this node, which does not name itself.
    fn has(&self, event: &PlatformEvent, own: Option<ServerId>) -> bool {
        let mut topics = self.topics.iter();
        let is_wanted = topics.all(|topics| topics.contains(&event.topic));
        // What is told of records tells who is confined to zones of the whole platform.
        let is_theirs = !self.reach.is_confined()
            || (OF_SERVERS.contains(&event.topic.as_str())
                && self.reach.has_server(event.server.or(own)));
        is_wanted && is_theirs
    }
}

fn topics_of(text: &str) -> Vec<String> {
    text.split(',')
        .map(|topic| topic.trim().to_owned())
        .collect()
}

/// Who reads a stream, which may outlast their right to it.
struct Reader {
    /// What they showed when they began.
    headers: HeaderMap,
    /// Where they are, and how they came.
    source: (IpAddr, Way),
    /// When it was last looked whether they may.
    checked: Instant,
    wanted: Wanted,
    /// What they are confined to.
    zones: Vec<ZoneId>,
}

impl Reader {
    /// Looks who they are today; whether they may read on. What cannot be looked up changes nothing.
    async fn may_go_on(&mut self, control: &Control) -> bool {
        if self.checked.elapsed() >= CHECK_INTERVAL {
            self.checked = Instant::now();
            match auth::reader(control, &self.headers, self.source, PATH).await {
                Ok(caller) => self.zones = caller.zones().to_vec(),
                Err(problem) => {
                    let over = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
                    if over.contains(&problem.status()) {
                        return false;
                    }
                }
            }
        }
        // Servers may have moved since the stream began.
        match control.reach(&self.zones).await {
            Ok(reach) => self.wanted.reach = Arc::new(reach),
            Err(_) => return false,
        }
        true
    }
}

/// Sends what follows `place` until the client goes away, may not read it any more, or the API stops.
async fn feed(
    control: Control,
    mut place: EventId,
    mut reader: Reader,
    sender: mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut newest = control.ring().watch();
    let mut stopping = control.stopping();
    loop {
        newest.mark_unchanged();
        if !reader.may_go_on(&control).await {
            return;
        }
        let following = control.ring().after(place);
        if following.gap
            && send(&sender, Event::default().event("gap").data("{}"))
                .await
                .is_err()
        {
            return;
        }
        let idle = following.events.is_empty();
        if following.gap && idle {
            place = control.ring().newest();
        }
        for (id, event) in following.events {
            place = id;
            if reader.wanted.has(&event, control.own_server())
                && send(&sender, message(id, &event)).await.is_err()
            {
                return;
            }
        }
        if !idle {
            continue;
        }
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = sender.closed() => return,
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
    }
}

async fn send(sender: &mpsc::Sender<Result<Event, Infallible>>, event: Event) -> Result<(), ()> {
    sender.send(Ok(event)).await.map_err(|_| ())
}

fn message(id: EventId, event: &PlatformEvent) -> Event {
    let data = serde_json::to_string(event).unwrap_or_default();
    Event::default()
        .id(id.to_string())
        .event(&event.name)
        .data(data)
}

/// Silence on a stream after which a comment is sent, so that proxies keep it open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The path of the stream.
const PATH: &str = "/v1/events";
/// How long it may take until who may not read any more is told nothing more.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Topics of what happens at a server, and not of what the platform is.
const OF_SERVERS: [&str; 1] = ["calls"];
/// Messages that wait for a slow client; the rest waits in the ring.
const STREAM_QUEUE: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_confined_to_zones_is_told_of_calls_there_and_of_nothing_else() {
        let (near, far) = (ServerId::from_parts(1, 1), ServerId::from_parts(2, 1));
        let event = |topic: &str, server| PlatformEvent {
            sequence: 1,
            at_us: 1,
            topic: topic.into(),
            name: format!("{topic}.changed"),
            data: json!({}),
            server,
            server_name: String::new(),
        };
        let wanted = Wanted {
            topics: None,
            reach: Arc::new(Reach::Within {
                zones: HashSet::from(["Berlin".to_owned()]),
                servers: HashSet::from([near]),
            }),
        };
        assert!(wanted.has(&event("calls", Some(near)), None));
        assert!(wanted.has(&event("calls", None), Some(near)));
        assert!(!wanted.has(&event("calls", Some(far)), Some(near)));
        assert!(!wanted.has(&event("calls", None), None));
        assert!(!wanted.has(&event("users", None), Some(near)));
        let all = Wanted {
            topics: Some(vec!["users".into()]),
            reach: Arc::default(),
        };
        assert!(all.has(&event("users", None), None));
        assert!(!all.has(&event("calls", Some(near)), None));
    }
}
