//! POST twice, done once: `Idempotency-Key`, after draft-ietf-httpapi-idempotency-key-header-07.
//!
//! The answer to a POST with a key is kept for 24 hours in memory and given again to the same
//! token with the same key and the same request. A restart forgets it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::control::Caller;
use crate::extract::BODY_MAX_BYTES;
use crate::{Control, Problem, drafts, problem};

/// Answers a repeated POST from what is kept, and keeps the answer of a new one.
pub(crate) async fn once(
    State(control): State<Control>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(key) = key(&request)? else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, BODY_MAX_BYTES)
        .await
        .map_err(|_| Problem::too_large(BODY_MAX_BYTES))?;
    let draft = parts.headers.get(drafts::HEADER);
    let draft = draft.map_or(&[][..], HeaderValue::as_bytes);
    let fingerprint = fingerprint(&parts.uri.to_string(), draft, &bytes);
    match control.replies().begin(&key, fingerprint, Instant::now()) {
        Begin::New => {}
        Begin::Again(reply) => return Ok(reply.into_response()),
        Begin::Running => {
            let detail = "the first request with this Idempotency-Key is still being answered";
            return Err(Problem::new(&problem::IN_PROGRESS, detail));
        }
        Begin::Other => {
            let detail = "this Idempotency-Key was used for another request";
            return Err(Problem::invalid_field("Idempotency-Key", detail));
        }
    }
    let running = Running {
        replies: control.replies(),
        key,
    };
    let response = next
        .run(Request::from_parts(parts, Body::from(bytes)))
        .await;
    running.finish(response).await
}

fn key(request: &Request) -> Result<Option<Key>, Problem> {
    let header = request
        .headers()
        .get("idempotency-key")
        .filter(|_| request.method() == Method::POST);
    let (Some(header), Some(caller)) = (header, request.extensions().get::<Caller>()) else {
        return Ok(None);
    };
    let text = header.to_str().unwrap_or("");
    let is_visible = text.bytes().all(|b| b.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_MAX_BYTES || !is_visible {
        let message = format!("1 to {KEY_MAX_BYTES} visible ASCII characters are accepted");
        return Err(Problem::malformed_field("Idempotency-Key", message));
    }
    Ok(Some(Key {
        caller: caller.id(),
        text: text.to_owned(),
    }))
}

/// Tells a request from others; the same one in a draft is another.
fn fingerprint(uri: &str, draft: &[u8], body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(uri.as_bytes());
    hash.update([0]);
    hash.update(draft);
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

/// The answers that are kept.
#[derive(Default)]
pub(crate) struct Replies(Mutex<Table>);

#[derive(Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    /// Keys in the order of their first use, the oldest first.
    order: VecDeque<(Instant, Key)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    caller: String,
    text: String,
}

struct Entry {
    fingerprint: [u8; 32],
    /// `None` while the first request is being answered.
    reply: Option<Kept>,
}

#[derive(Clone)]
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

enum Begin {
    New,
    Again(Kept),
    Running,
    Other,
}

impl Replies {
    fn begin(&self, key: &Key, fingerprint: [u8; 32], now: Instant) -> Begin {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget(now);
        match table.entries.get(key) {
            Some(entry) if entry.fingerprint != fingerprint => Begin::Other,
            Some(Entry {
                reply: Some(reply), ..
            }) => Begin::Again(reply.clone()),
            Some(_) => Begin::Running,
            None => {
                table.order.push_back((now, key.clone()));
                table.entries.insert(
                    key.clone(),
                    Entry {
                        fingerprint,
                        reply: None,
                    },
                );
                Begin::New
            }
        }
    }

    fn end(&self, key: &Key, reply: Option<Kept>) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (reply, table.entries.get_mut(key)) {
            (Some(reply), Some(entry)) => entry.reply = Some(reply),
            _ => {
                table.entries.remove(key);
                table.order.retain(|(_, k)| k != key);
            }
        }
    }
}

impl Table {
    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front() {
            let expired = now.saturating_duration_since(*at) >= KEPT;
            if !expired && self.order.len() < REPLIES_MAX {
                return;
            }
            if let Some((_, key)) = self.order.pop_front() {
                self.entries.remove(&key);
            }
        }
    }
}

/// A request that is being answered. Dropped without an answer, as when the client goes away,
/// it frees its key.
struct Running<'a> {
    replies: &'a Replies,
    key: Key,
}

impl Running<'_> {
    async fn finish(self, response: Response) -> Result<Response, Problem> {
        let (parts, body) = response.into_parts();
        let lost = |_| Problem::new(&problem::INTERNAL, "the answer is too large to be kept");
        let bytes = to_bytes(body, REPLY_MAX_BYTES).await.map_err(lost)?;
        // What may go better next time is not kept.
        let passing =
            parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS;
        if !passing {
            let (status, headers) = (parts.status, parts.headers.clone());
            self.replies.end(
                &self.key,
                Some(Kept {
                    status,
                    headers,
                    body: bytes.clone(),
                }),
            );
        }
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let table = self
            .replies
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let open = table
            .entries
            .get(&self.key)
            .is_some_and(|entry| entry.reply.is_none());
        drop(table);
        if open {
            self.replies.end(&self.key, None);
        }
    }
}

impl IntoResponse for Kept {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.headers, self.body).into_response();
        let replayed = axum::http::HeaderValue::from_static("true");
        response
            .headers_mut()
            .insert("idempotency-replayed", replayed);
        response
    }
}

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Answers kept; beyond it the oldest are forgotten.
const REPLIES_MAX: usize = 4_096;
/// Bytes of an answer to a POST with a key; no answer of this API comes near it.
const REPLY_MAX_BYTES: usize = 256 * 1024;
/// Bytes of a key.
const KEY_MAX_BYTES: usize = 128;
