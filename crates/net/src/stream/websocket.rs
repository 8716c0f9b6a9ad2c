//! SIP over WebSocket, RFC 7118.
//!
//! One WebSocket message is one SIP message (§5). Pings are answered by the WebSocket layer. What
//! we write goes as text if it is UTF-8, else as binary; what comes may be either (§5).
//!
//! Beyond the RFC: a message of CR LF CR LF is taken as a keep-alive and answered with CR LF, since
//! browser clients carry the habit of RFC 5626 over from TCP.

use std::future::pending;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use sip::Flow;
use sip::framing::PONG;
use sip::parse::MESSAGE_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

use super::metered::{Meter, Metered};
use super::outbox::Outbox;
use super::session::{Reply, Session, replies};
use super::{Context, Link, StreamEvent, StreamLimits};
use crate::drive::CloseReason;

/// A WebSocket connection.
pub(crate) type Socket<S> = WebSocketStream<Metered<S>>;

/// The server's handshake: the client must offer the subprotocol `sip` (RFC 7118 §4), and a
/// browser must come from an allowed origin.
pub(crate) async fn accept<S>(stream: S, context: &Context) -> Result<Socket<S>, Box<Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let allowed_origins = &context.allowed_origins;
    // The type of the refusal is the library's.
    #[allow(clippy::result_large_err)]
    let check = |request: &Request, mut response: Response| match refusal(
        request.headers(),
        allowed_origins,
    ) {
        None => {
            let headers = response.headers_mut();
            headers.insert(PROTOCOL_HEADER, HeaderValue::from_static(SUBPROTOCOL));
            Ok(response)
        }
        Some((status, text)) => {
            let mut response = ErrorResponse::new(Some(text.to_owned()));
            *response.status_mut() = status;
            Err(response)
        }
    };
    tokio_tungstenite::accept_hdr_async_with_config(Metered::new(stream), check, Some(config()))
        .await
        .map_err(Box::new)
}

/// The client's handshake.
pub(crate) async fn connect<S>(stream: S, host: &str) -> Result<Socket<S>, Box<Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("ws://{host}/")
        .into_client_request()
        .map_err(Box::new)?;
    request
        .headers_mut()
        .insert(PROTOCOL_HEADER, HeaderValue::from_static(SUBPROTOCOL));
    let (socket, _response) =
        tokio_tungstenite::client_async_with_config(request, Metered::new(stream), Some(config()))
            .await
            .map_err(Box::new)?;
    Ok(socket)
}

/// Serves a connection until it ends.
pub(crate) async fn run<S>(mut session: Session, socket: Socket<S>, link: Option<Link>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    session.opened(link).await;
    let meter = socket.get_ref().meter();
    let (writer, reader) = socket.split();
    let (replies, asked) = replies();
    let (context, flow) = (&*session.context, session.flow);
    let why = tokio::select! {
        why = read(context, flow, reader, meter, replies) => why,
        why = write(context, flow, writer, &mut session.outbox, asked) => why,
        why = session.endings.any() => why,
    };
    let why = session.endings.settle(why);
    session.closed(why).await;
}

/// Why a handshake is refused, if it is.
fn refusal(headers: &HeaderMap, allowed_origins: &[String]) -> Option<(StatusCode, &'static str)> {
    let offers_sip = headers
        .get_all(PROTOCOL_HEADER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim().eq_ignore_ascii_case(SUBPROTOCOL));
    if !offers_sip {
        return Some((StatusCode::BAD_REQUEST, "the subprotocol sip is required"));
    }
    // Only browsers send Origin, and only they can be made to connect by a stranger's page.
    let origin = headers.get("Origin")?;
    let is_allowed = allowed_origins.is_empty()
        || allowed_origins
            .iter()
            .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()));
    (!is_allowed).then_some((StatusCode::FORBIDDEN, "this origin is not allowed"))
}

/// The reading half.
async fn read<S>(
    context: &Context,
    flow: Flow,
    mut reader: SplitStream<Socket<S>>,
    meter: Meter,
    replies: mpsc::Sender<Reply>,
) -> CloseReason
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut patience = Patience::first(&context.limits, meter);
    loop {
        let next = match timeout_at(patience.look_at, reader.next()).await {
            Ok(next) => next,
            Err(_) => match patience.look(&context.limits) {
                Some(why) => return why,
                None => continue,
            },
        };
        let bytes = match next {
            None | Some(Ok(Message::Close(_))) => return CloseReason::Peer,
            Some(Ok(Message::Text(text))) => text.into(),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                ::bytes::Bytes::new()
            }
            Some(Err(error)) => {
                let Some(code) = close_code(&error) else {
                    return CloseReason::Peer;
                };
                tracing::debug!(peer = %flow.remote, %error, "cannot frame");
                // Without a writing half the connection is ending anyway.
                let _ = replies.send(Reply::CloseCode(code.into())).await;
                replies.closed().await;
                return CloseReason::Framing;
            }
        };
        patience.renew(&context.limits);
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            if !bytes.is_empty() {
                // A peer that sends pings faster than it takes pongs misses some.
                let _ = replies.try_send(Reply::Pong);
            }
            continue;
        }
        context.counters.count_received(flow.transport, 1);
        context.tell(StreamEvent::Message { flow, bytes }).await;
    }
}

/// How long the peer may keep us waiting.
#[derive(Debug)]
struct Patience {
    meter: Meter,
    /// When the next message must have come.
    until: Instant,
    /// What it is when it has not.
    late: CloseReason,
    /// When to look whether a message has begun that does not end.
    look_at: Instant,
    /// The bytes read when the last message ended.
    ended_at: u64,
    /// Whether a message was under way when last looked.
    was_partial: bool,
}

impl Patience {
    /// For the first message of a connection.
    fn first(limits: &StreamLimits, meter: Meter) -> Self {
        let until = Instant::now() + limits.handshake_timeout;
        Self {
            ended_at: meter.count(),
            meter,
            until,
            late: CloseReason::SlowMessage,
            look_at: until.min(Instant::now() + limits.message_timeout),
            was_partial: false,
        }
    }

    /// A message has ended.
    fn renew(&mut self, limits: &StreamLimits) {
        *self = Self {
            until: Instant::now() + limits.idle_timeout,
            late: CloseReason::Idle,
            ..Self::first(limits, self.meter.clone())
        };
        self.look_at = self.until.min(Instant::now() + limits.message_timeout);
    }

    /// Whether patience is at an end. A message that was under way when last looked, a message
    /// timeout ago, has had its time.
    fn look(&mut self, limits: &StreamLimits) -> Option<CloseReason> {
        let is_partial = self.meter.count() != self.ended_at;
        if is_partial && self.was_partial {
            return Some(CloseReason::SlowMessage);
        }
        if Instant::now() >= self.until {
            return Some(self.late);
        }
        self.was_partial = is_partial;
        self.look_at = Instant::now() + limits.message_timeout;
        if !is_partial {
            self.look_at = self.look_at.min(self.until);
        }
        None
    }
}

/// What a peer is told that broke the protocol (RFC 6455 §7.4.1); `None` if it is gone.
fn close_code(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(CloseCode::Size),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        _ => None,
    }
}

/// The writing half.
async fn write<S>(
    context: &Context,
    flow: Flow,
    mut writer: SplitSink<Socket<S>, Message>,
    outbox: &mut Outbox,
    mut asked: mpsc::Receiver<Reply>,
) -> CloseReason
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let patience = context.limits.write_timeout;
    loop {
        let written = tokio::select! {
            batch = outbox.next() => {
                if batch.is_empty() {
                    // The peer may have gone first.
                    let _ = timeout(patience, writer.send(closing(CloseCode::Away))).await;
                    return CloseReason::Requested;
                }
                let all = async {
                    for queued in batch {
                        writer.feed(message(queued.bytes.clone())).await?;
                    }
                    writer.flush().await
                };
                timeout(patience, all).await
            }
            Some(reply) = asked.recv() => match reply {
                Reply::Pong => {
                    let pong = Message::Text(Utf8Bytes::from_static(PONG_TEXT));
                    timeout(patience, writer.send(pong)).await
                }
                Reply::CloseCode(code) => {
                    // The peer may have gone first.
                    let _ = timeout(patience, writer.send(closing(code.into()))).await;
                    drop(asked);
                    return pending().await;
                }
                Reply::Last(_) => continue,
            },
        };
        match written {
            Err(_) => return CloseReason::WriteTimeout,
            Ok(Err(_)) => return CloseReason::Peer,
            Ok(Ok(())) => {
                let count = outbox.written();
                context.counters.count_sent(flow.transport, count);
            }
        }
    }
}

fn message(bytes: ::bytes::Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

fn closing(code: CloseCode) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: Utf8Bytes::default(),
    }))
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// RFC 7118 §4.1.
const SUBPROTOCOL: &str = "sip";
const PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";
/// Per connection and direction.
const BUFFER_BYTES: usize = 8_192;
/// [`PONG`] as text.
const PONG_TEXT: &str = "\r\n";
const _: () = assert!(PONG.len() == PONG_TEXT.len());
