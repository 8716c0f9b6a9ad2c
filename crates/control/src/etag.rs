//! Revisions as entity tags, RFC 9110 §8.8.3, and the conditions on them.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::{Problem, problem};

/// The entity tag of a revision.
pub(crate) fn of(revision: u64) -> HeaderValue {
    // Digits in quotes are always a valid header value.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// What If-Match asks for, RFC 9110 §13.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Any revision, as long as the object exists.
    Any,
    /// This revision only.
    Revision(u64),
}

impl IfMatch {
    /// Reads If-Match; `None` if there is none. A tag that was never ours matches nothing: it
    /// becomes the highest revision, which is never reached.
    pub(crate) fn parse(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(header::IF_MATCH)?.to_str().unwrap_or("");
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let revision = text
            .trim()
            .strip_prefix('"')
            .and_then(|t| t.strip_suffix('"'));
        Some(Self::Revision(
            revision.and_then(|t| t.parse().ok()).unwrap_or(u64::MAX),
        ))
    }

    /// Reads If-Match where a change may not go without it.
    pub(crate) fn required(headers: &HeaderMap) -> Result<Self, Problem> {
        Self::parse(headers).ok_or_else(|| {
            let detail = "send If-Match with the ETag of the object as it was read";
            Problem::new(&problem::PRECONDITION_REQUIRED, detail)
        })
    }

    /// The revision that a change of an object at `current` has to name.
    pub(crate) fn expected(self, current: u64) -> Result<u64, Problem> {
        match self {
            Self::Any => Ok(current),
            Self::Revision(revision) if revision == current => Ok(revision),
            Self::Revision(_) => Err(Problem::changed(current)),
        }
    }
}

/// Whether If-None-Match names this revision (RFC 9110 §13.1.2): the answer is then 304.
pub(crate) fn is_known(headers: &HeaderMap, revision: u64) -> bool {
    let wanted = format!("\"{revision}\"");
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == wanted)
}
