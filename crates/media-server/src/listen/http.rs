//! Requests over HTTP (`POST /ng` with a cookie, `POST /ng-plain` without) and WebSocket, and what
//! an operator looks at: `/ping`, `/health`, `/metrics`; and tells: `POST /drain`, `POST /resume`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes as WsBytes, Message};

use super::ask;
use super::room::Gated;
use crate::gate::Gate;
use crate::server::{Order, Orders};

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, orders: Orders, gate: Arc<Gate>) {
    let router = Router::new()
        .route("/ng", post(with_cookie))
        .route("/ng-plain", post(without_cookie))
        .route("/ping", get(|| async { "pong" }))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/drain", post(drain))
        .route("/resume", post(resume))
        .fallback(get(websocket))
        .layer(DefaultBodyLimit::max(ng::MESSAGE_BYTES_MAX))
        .with_state(orders);
    let service = router.into_make_service_with_connect_info::<Source>();
    if let Err(error) = axum::serve(Gated::new(listener, gate), service).await {
        tracing::error!(%error, "serving HTTP failed");
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
struct Source(SocketAddr);

impl Connected<IncomingStream<'_, Gated>> for Source {
    fn connect_info(stream: IncomingStream<'_, Gated>) -> Self {
        Self(*stream.remote_addr())
    }
}

async fn with_cookie(
    State(orders): State<Orders>,
    ConnectInfo(Source(source)): ConnectInfo<Source>,
    body: Bytes,
) -> Response {
    match ask(&orders, source, body.to_vec()).await {
        Some(reply) => ([(header::CONTENT_TYPE, NG_TYPE)], reply.to_vec()).into_response(),
        None => (StatusCode::BAD_REQUEST, "no message\n").into_response(),
    }
}

async fn without_cookie(
    State(orders): State<Orders>,
    ConnectInfo(Source(source)): ConnectInfo<Source>,
    body: Bytes,
) -> Response {
    let kind = match ng::body_of(&body) {
        Ok((ng::Encoding::Json, _)) => "application/json",
        _ => NG_TYPE,
    };
    match ask_plain(&orders, source, &body).await {
        Some(reply) => ([(header::CONTENT_TYPE, kind)], reply).into_response(),
        None => (StatusCode::BAD_REQUEST, "no message\n").into_response(),
    }
}

/// A message without a cookie is never asked again: it gets one that nobody else has.
async fn ask_plain(orders: &Orders, source: SocketAddr, body: &[u8]) -> Option<Vec<u8>> {
    let cookie = format!("{:016x} ", getrandom::u64().ok()?);
    let reply = ask(orders, source, [cookie.as_bytes(), body].concat()).await?;
    Some(reply[cookie.len()..].to_vec())
}

async fn health(State(orders): State<Orders>) -> Response {
    let (to, from) = oneshot::channel();
    orders.send(Order::State(to));
    match from.await {
        Ok(ng::State::Active) => "active\n".into_response(),
        Ok(state) => (StatusCode::SERVICE_UNAVAILABLE, state.name()).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy\n").into_response(),
    }
}

/// Takes no new sessions from now on; the state.
async fn drain(State(orders): State<Orders>) -> Response {
    orders.send(Order::Drain);
    state(&orders).await
}

/// Takes new sessions again; the state.
async fn resume(State(orders): State<Orders>) -> Response {
    orders.send(Order::Resume);
    state(&orders).await
}

async fn state(orders: &Orders) -> Response {
    let (to, from) = oneshot::channel();
    orders.send(Order::State(to));
    match from.await {
        Ok(state) => format!("{}\n", state.name()).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy\n").into_response(),
    }
}

async fn metrics(State(orders): State<Orders>) -> Response {
    let (to, from) = oneshot::channel();
    orders.send(Order::Metrics(to));
    match from.await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy\n").into_response(),
    }
}

/// Opens a WebSocket, at any path, for one of the protocols.
async fn websocket(
    State(orders): State<Orders>,
    ConnectInfo(Source(source)): ConnectInfo<Source>,
    mut request: Request<Body>,
) -> Response {
    let headers = request.headers();
    let Some((key, protocol)) = wanted(headers) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => converse(TokioIo::new(upgraded), source, &orders, protocol).await,
            Err(error) => tracing::debug!(%source, %error, "no WebSocket came to be"),
        }
    });
    let answer = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, key),
        (
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(protocol.name()),
        ),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, answer).into_response()
}

/// What a WebSocket carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    WithCookie,
    Plain,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::WithCookie => "ng.rtpengine.com",
            Self::Plain => "ng-plain.rtpengine.com",
        }
    }
}

/// The key to answer with and the protocol, if a WebSocket is asked for.
fn wanted(headers: &HeaderMap) -> Option<(HeaderValue, Protocol)> {
    let upgrade = headers.get(header::UPGRADE)?.to_str().ok()?;
    if !upgrade.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    let key = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|value| value.to_str().ok());
    let mut offered = offered.flat_map(|value| value.split(',').map(str::trim));
    let protocols = [Protocol::WithCookie, Protocol::Plain];
    let protocol = offered.find_map(|name| protocols.into_iter().find(|p| p.name() == name));
    Some((key, protocol?))
}

async fn converse(
    io: TokioIo<hyper::upgrade::Upgraded>,
    source: SocketAddr,
    orders: &Orders,
    protocol: Protocol,
) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(ng::MESSAGE_BYTES_MAX))
        .max_frame_size(Some(ng::MESSAGE_BYTES_MAX));
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    while let Some(Ok(message)) = socket.next().await {
        let is_text = matches!(message, Message::Text(_));
        let bytes: WsBytes = match message {
            Message::Text(text) => text.into(),
            Message::Binary(bytes) => bytes,
            Message::Close(_) => break,
            _ => continue,
        };
        let reply = match protocol {
            Protocol::WithCookie => ask(orders, source, bytes.to_vec())
                .await
                .map(|r| r.to_vec()),
            Protocol::Plain => ask_plain(orders, source, &bytes).await,
        };
        let Some(reply) = reply else { continue };
        // A reply that is no text, to a question that was, goes as bytes.
        let reply = match is_text {
            true => String::from_utf8(reply)
                .map_or_else(|error| Message::binary(error.into_bytes()), Message::text),
            false => Message::binary(reply),
        };
        if socket.send(reply).await.is_err() {
            break;
        }
    }
}

const NG_TYPE: &str = "application/x-rtpengine-ng";
