//! The API of a dispatcher: its targets, `POST /v1/flush`, `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use balancer::State as Health;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::settings::{self, TargetRecord};
use super::state::State;
use crate::trace::TraceLink;

type Shared = Extract<Arc<State>>;

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let guarded = Router::new()
        .route("/v1/targets", get(list).post(create))
        .route("/v1/targets/{name}", get(show).patch(update).delete(remove))
        .route("/v1/targets/{name}/drain", post(drain))
        .route("/v1/targets/{name}/resume", post(resume))
        .route("/v1/flush", post(flush))
        .route("/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(state.clone(), guard));
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(guarded)
        .with_state(state);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "serving the API failed");
    }
}

/// Lets in who shows the token.
async fn guard(Extract(state): Shared, request: Request, next: Next) -> Response {
    let value = request.headers().get(header::AUTHORIZATION);
    let shown = value.and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer "));
    // Of equal length, every byte is looked at: the time says nothing of how many agree.
    let is_same = shown.is_some_and(|shown| {
        let pairs = shown.bytes().zip(state.token.bytes());
        shown.len() == state.token.len() && pairs.fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    });
    if is_same {
        next.run(request).await
    } else {
        problem(StatusCode::UNAUTHORIZED, "The token is missing or wrong")
    }
}

async fn list(Extract(state): Shared) -> Response {
    match statuses(&state).await {
        Ok(items) => Json(json!({ "items": items })).into_response(),
        Err(error) => failed(&error),
    }
}

async fn show(Extract(state): Shared, Path(name): Path<String>) -> Response {
    match statuses(&state).await {
        Ok(items) => match items.into_iter().find(|item| is_of(item, &name)) {
            Some(item) => Json(item).into_response(),
            None => unknown(&name),
        },
        Err(error) => failed(&error),
    }
}

async fn create(Extract(state): Shared, Json(body): Json<Value>) -> Response {
    let record: TargetRecord = match serde_json::from_value(body) {
        Ok(record) => record,
        Err(error) => return problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    };
    if state.is_controlled() {
        return elsewhere();
    }
    let name = record.name.clone();
    let added = state.change(|records| {
        anyhow::ensure!(
            records.iter().all(|known| known.name != record.name),
            "there is a target of this name"
        );
        records.push(record);
        Ok(())
    });
    match added.await {
        Ok(()) => {
            tracing::info!(target = %name, "target added");
            let shown = show(Extract(state), Path(name)).await;
            (StatusCode::CREATED, shown).into_response()
        }
        Err(error) => refused(&error),
    }
}

async fn update(
    Extract(state): Shared,
    Path(name): Path<String>,
    Json(body): Json<Map<String, Value>>,
) -> Response {
    change(state, name, body).await
}

async fn drain(Extract(state): Shared, Path(name): Path<String>) -> Response {
    change(state, name, draining(true)).await
}

async fn resume(Extract(state): Shared, Path(name): Path<String>) -> Response {
    change(state, name, draining(false)).await
}

fn draining(draining: bool) -> Map<String, Value> {
    Map::from_iter([("draining".to_owned(), Value::Bool(draining))])
}

/// Lays fields over a record; null takes an optional one away.
async fn change(state: Arc<State>, name: String, fields: Map<String, Value>) -> Response {
    if state.is_controlled() {
        return elsewhere();
    }
    let shown = serde_json::to_string(&fields).unwrap_or_default();
    let changed = state.change(|records| {
        let Some(record) = records.iter_mut().find(|record| record.name == name) else {
            return Ok(false);
        };
        anyhow::ensure!(
            fields.get("name").is_none_or(|new| new == name.as_str()),
            "a target keeps its name"
        );
        let mut whole = serde_json::to_value(&*record)?;
        if let Some(whole) = whole.as_object_mut() {
            whole.extend(fields);
        }
        *record = serde_json::from_value(whole)?;
        Ok(true)
    });
    match changed.await {
        Ok(true) => {
            tracing::info!(target = %name, fields = %shown, "target changed");
            show(Extract(state), Path(name)).await
        }
        Ok(false) => unknown(&name),
        Err(error) => refused(&error),
    }
}

async fn remove(Extract(state): Shared, Path(name): Path<String>) -> Response {
    if state.is_controlled() {
        return elsewhere();
    }
    let removed = state.change(|records| {
        let before = records.len();
        records.retain(|record| record.name != name);
        Ok(records.len() < before)
    });
    match removed.await {
        Ok(true) => {
            tracing::info!(target = %name, "target removed");
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => unknown(&name),
        Err(error) => refused(&error),
    }
}

async fn flush(Extract(state): Shared) -> Response {
    match state.flush().await {
        Ok(()) => {
            tracing::info!("the configuration was applied again");
            list(Extract(state)).await
        }
        Err(error) => refused(&error),
    }
}

async fn ready(Extract(state): Shared) -> Response {
    match state
        .desk
        .ask(|now, dispatcher| dispatcher.is_ready(now))
        .await
    {
        Ok(true) => "ok\n".into_response(),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "it takes no calls\n").into_response(),
        Err(error) => failed(&error),
    }
}

async fn metrics(Extract(state): Shared) -> Response {
    let net = state.net.clone();
    let traces = state.trace.as_ref().map(TraceLink::counts);
    let text = state
        .desk
        .ask(move |now, dispatcher| super::metrics::text(now, dispatcher, &net, traces.as_ref()));
    match text.await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => failed(&error),
    }
}

/// Whether an item is the target of a name, or one of several that a host name stands for.
fn is_of(item: &Value, name: &str) -> bool {
    let own = item["name"].as_str().unwrap_or_default();
    own == name
        || own
            .split_once('@')
            .is_some_and(|(record, _)| record == name)
}

/// Targets and what is known of them, one object each.
async fn statuses(state: &State) -> anyhow::Result<Vec<Value>> {
    let all = |now, dispatcher: &mut dispatcher::Dispatcher| {
        let statuses = dispatcher.statuses(now);
        statuses
            .map(|(target, status)| item(target, &status))
            .collect()
    };
    state.desk.ask(all).await
}

fn item(target: &dispatcher::Target, status: &balancer::TargetStatus) -> Value {
    let mut item = serde_json::to_value(settings::record(target)).unwrap_or_default();
    let us = |time: std::time::Duration| time.as_micros() as u64;
    let (state, cause) = match status.state {
        Health::Up if target.spec.admission == balancer::Admission::Open => ("up", None),
        Health::Up if status.calls == 0 => ("drained", None),
        Health::Up => ("draining", None),
        Health::Down(cause) => ("down", Some(cause.name())),
    };
    let more = json!({
        "state": state,
        "cause": cause,
        "calls": status.calls,
        "foreign_calls": status.foreign_calls,
        "chosen_total": status.chosen,
        "latency_us": us(status.latency),
        "probe_rtt_us": status.probe_rtt.map(us),
        "share_permille": status.share_permille,
        "loss_percent": status.loss_percent,
        "closed_ms": status.closed_for.map(|time| time.as_millis() as u64),
    });
    if let (Some(item), Value::Object(more)) = (item.as_object_mut(), more) {
        item.extend(more);
    }
    item
}

fn unknown(name: &str) -> Response {
    problem(
        StatusCode::NOT_FOUND,
        &format!("There is no target \"{name}\""),
    )
}

fn elsewhere() -> Response {
    let title = "The platform's control has the targets of this dispatcher: change them there";
    problem(StatusCode::CONFLICT, title)
}

fn refused(error: &anyhow::Error) -> Response {
    problem(StatusCode::UNPROCESSABLE_ENTITY, &format!("{error:#}"))
}

fn failed(error: &anyhow::Error) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}"))
}

/// RFC 9457.
fn problem(status: StatusCode, title: &str) -> Response {
    let body = json!({ "status": status.as_u16(), "title": title });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}
