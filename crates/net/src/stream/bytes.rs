//! A TCP or TLS connection: a stream of bytes to be framed.

use std::future::pending;

use bytes::BytesMut;
use sip::Flow;
use sip::framing::{Framed, Framer, PONG};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::outbox::Outbox;
use super::session::{Reply, Session, replies};
use super::{Context, Link, Queued, StreamEvent};
use crate::drive::CloseReason;

/// Serves a connection until it ends.
pub(crate) async fn run<S>(mut session: Session, stream: S, link: Option<Link>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    session.opened(link).await;
    let (reader, writer) = tokio::io::split(stream);
    let (replies, asked) = replies();
    let (context, flow) = (&*session.context, session.flow);
    let why = tokio::select! {
        why = read(context, flow, reader, replies) => why,
        why = write(context, flow, writer, &mut session.outbox, asked) => why,
        why = session.endings.any() => why,
    };
    let why = session.endings.settle(why);
    session.closed(why).await;
}

/// The reading half.
async fn read(
    context: &Context,
    flow: Flow,
    mut reader: impl AsyncRead + Unpin,
    replies: mpsc::Sender<Reply>,
) -> CloseReason {
    let limits = &context.limits;
    let mut framer = Framer::new();
    let mut deadline = Deadline::first(limits.handshake_timeout);
    loop {
        loop {
            match framer.pull() {
                Ok(Some(Framed::Message(bytes))) => {
                    context.counters.count_received(flow.transport, 1);
                    context.tell(StreamEvent::Message { flow, bytes }).await;
                    deadline = Deadline::idle(limits.idle_timeout);
                }
                Ok(Some(Framed::Ping)) => {
                    // A peer that sends pings faster than it takes pongs misses some.
                    let _ = replies.try_send(Reply::Pong);
                    deadline = Deadline::idle(limits.idle_timeout);
                }
                Ok(None) => break,
                Err(broken) => {
                    tracing::debug!(peer = %flow.remote, error = %broken.error, "cannot frame");
                    let answer = broken.answer(flow.remote);
                    // Without a writing half the connection is ending anyway.
                    let _ = replies.send(Reply::Last(answer)).await;
                    drain(&mut reader).await;
                    return CloseReason::Framing;
                }
            }
        }
        deadline.message(framer.is_partial(), limits.message_timeout);
        let buffer = framer.buffer();
        buffer.reserve(READ_BYTES);
        match timeout_at(deadline.at, reader.read_buf(buffer)).await {
            Err(_) => return deadline.reason,
            Ok(Ok(0) | Err(_)) => return CloseReason::Peer,
            Ok(Ok(_)) if deadline.reason == CloseReason::Idle => {
                deadline = Deadline::idle(limits.idle_timeout);
            }
            Ok(Ok(_)) => {}
        }
    }
}

/// How long the peer may keep us waiting.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    /// What it is when it passes.
    reason: CloseReason,
}

impl Deadline {
    /// For the first message of a connection.
    fn first(patience: std::time::Duration) -> Self {
        Self {
            at: Instant::now() + patience,
            reason: CloseReason::SlowMessage,
        }
    }

    /// Between messages.
    fn idle(patience: std::time::Duration) -> Self {
        Self {
            at: Instant::now() + patience,
            reason: CloseReason::Idle,
        }
    }

    /// A message that has begun has to end; an earlier deadline stays.
    fn message(&mut self, is_partial: bool, patience: std::time::Duration) {
        if is_partial && self.reason == CloseReason::Idle {
            *self = Self::first(patience);
        }
    }
}

/// Reads on for a moment after the last answer: closing with bytes unread would reset the
/// connection, and the answer could be lost on its way.
async fn drain(reader: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; READ_BYTES];
    let mut budget = DRAIN_BYTES;
    let until = Instant::now() + DRAIN_TIME;
    while let Ok(Ok(count @ 1..)) = timeout_at(until, reader.read(&mut buffer)).await {
        budget = budget.saturating_sub(count);
        if budget == 0 {
            return;
        }
    }
}

/// The writing half.
async fn write(
    context: &Context,
    flow: Flow,
    mut writer: impl AsyncWrite + Unpin,
    outbox: &mut Outbox,
    mut asked: mpsc::Receiver<Reply>,
) -> CloseReason {
    let patience = context.limits.write_timeout;
    let mut buffer = BytesMut::new();
    loop {
        buffer.clear();
        tokio::select! {
            batch = outbox.next() => match batch {
                [] => {
                    // The peer may have gone first.
                    let _ = timeout(patience, writer.shutdown()).await;
                    return CloseReason::Requested;
                }
                batch => join(batch, &mut buffer),
            },
            Some(reply) = asked.recv() => match reply {
                Reply::Pong => buffer.extend_from_slice(PONG),
                Reply::Last(answer) => {
                    let last = async {
                        writer.write_all(&answer.unwrap_or_default()).await?;
                        writer.shutdown().await
                    };
                    // The reading half ends the connection, whatever became of the answer.
                    let _ = timeout(patience, last).await;
                    return pending().await;
                }
                Reply::CloseCode(_) => {}
            },
        }
        let written = async {
            writer.write_all(&buffer).await?;
            writer.flush().await
        };
        match timeout(patience, written).await {
            Err(_) => return CloseReason::WriteTimeout,
            Ok(Err(_)) => return CloseReason::Peer,
            Ok(Ok(())) => {
                let count = outbox.written();
                context.counters.count_sent(flow.transport, count);
            }
        }
        // An unusually large batch does not keep its memory.
        if buffer.capacity() > BUFFER_KEPT_BYTES {
            buffer = BytesMut::new();
        }
    }
}

fn join(batch: &[Queued], buffer: &mut BytesMut) {
    buffer.reserve(batch.iter().map(|queued| queued.bytes.len()).sum());
    for queued in batch {
        buffer.extend_from_slice(&queued.bytes);
    }
}

/// Room made before each read.
const READ_BYTES: usize = 4_096;
/// The write buffer a connection keeps between batches.
const BUFFER_KEPT_BYTES: usize = 16_384;
/// How much is read and thrown away after the last answer, at most.
const DRAIN_BYTES: usize = 256 * 1_024;
/// And for how long.
const DRAIN_TIME: std::time::Duration = std::time::Duration::from_millis(500);
