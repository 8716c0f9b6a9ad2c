//! What went wrong, in the words of RFC 9457.
//!
//! Every refusal of the API is a [`Problem`]. Its `code` is stable and meant for programs,
//! `detail` is meant for people and may change.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::FieldError;
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use crate::PlatformError;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    kind: &'static Kind,
    detail: String,
    errors: Vec<FieldError>,
    current_revision: Option<u64>,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// One field of the request cannot be read.
    pub(crate) fn malformed_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let error = field_error(field, message);
        let detail = format!("{}: {}", error.field, error.message);
        Self {
            errors: vec![error],
            ..Self::new(&MALFORMED, detail)
        }
    }

    /// The request names fields that there are not.
    pub(crate) fn no_such_fields(fields: Vec<String>) -> Self {
        let detail = format!("there is no field {}", fields.join(", "));
        let errors = fields
            .into_iter()
            .map(|field| field_error(field, "there is no such field"))
            .collect();
        Self {
            errors,
            ..Self::new(&MALFORMED, detail)
        }
    }

    /// What is wrong with which field, for a part of a larger request; `within` names the part.
    pub(crate) fn into_errors(self, within: &str) -> Vec<FieldError> {
        if self.errors.is_empty() {
            return vec![field_error(within, self.detail)];
        }
        let inside =
            |error: FieldError| field_error(format!("{within}.{}", error.field), error.message);
        self.errors.into_iter().map(inside).collect()
    }

    /// The request can be read, but not be fulfilled.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
        let detail = fields.join(", ");
        Self {
            errors,
            ..Self::new(&INVALID, detail)
        }
    }

    /// One field of the request is not acceptable.
    pub(crate) fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![field_error(field, message)])
    }

    /// The same with other words.
    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }

    /// The object is not the one that was expected.
    pub(crate) fn changed(current: u64) -> Self {
        let detail = format!("its revision is {current} now: read it again, then change it");
        Self {
            current_revision: Some(current),
            ..Self::new(&CHANGED, detail)
        }
    }

    /// Too much at once; to be tried again later.
    pub(crate) fn too_many(detail: &str, retry_after_s: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(&TOO_MANY_REQUESTS, detail)
        }
    }

    /// What happened, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// What it is in HTTP.
    pub(crate) const fn status(&self) -> StatusCode {
        self.kind.status
    }

    /// A part of the platform does not answer.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(&UNAVAILABLE, detail)
        }
    }

    /// A body of more than this many bytes.
    pub(crate) fn too_large(max_bytes: usize) -> Self {
        Self::new(&TOO_LARGE, format!("up to {max_bytes} bytes are accepted"))
    }

    /// There is no such object or path.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(&NOT_FOUND, detail)
    }

    /// A problem of a kind.
    pub(crate) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            current_revision: None,
            retry_after_s: None,
        }
    }
}

/// What all problems of a kind share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

/// A problem as sent, RFC 9457 §3.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Identifies the kind of problem: `urn:tandem:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem in words; the same for each problem of the kind.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// The kind of problem for programs.
    code: &'a str,
    /// What happened this time, and what to do.
    detail: &'a str,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The revision the object has now, where another was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_revision: Option<u64>,
    /// When to try again, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Kind {
            status,
            code,
            title,
        } = *self.kind;
        let body = ProblemBody {
            kind: format!("urn:tandem:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: &self.detail,
            errors: &self.errors,
            current_revision: self.current_revision,
            retry_after_s: self.retry_after_s,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let words = error.to_string();
        match error {
            StoreError::Invalid(errors) => Self::invalid(errors),
            StoreError::Duplicate { field, .. } => {
                let errors = vec![field_error(field, words.clone())];
                Self {
                    errors,
                    ..Self::new(&DUPLICATE, words)
                }
            }
            StoreError::MissingReference { field, .. } => Self::invalid_field(field, words),
            StoreError::NotFound { .. } => Self::not_found(words),
            StoreError::Conflict { current } => Self::changed(current),
            StoreError::InUse { .. } => Self::new(&IN_USE, words),
            StoreError::Elsewhere => Self::new(&ELSEWHERE, words),
            StoreError::NewerSchema { .. }
            | StoreError::Misconfigured(_)
            | StoreError::Corrupt(_) => {
                tracing::error!(error = %words, "the store failed");
                Self::new(&INTERNAL, words)
            }
            StoreError::Unavailable(_) => {
                tracing::error!(error = %words, "the store failed");
                Self::unavailable(words)
            }
        }
    }
}

/// What a node is told of it.
impl From<Problem> for tonic::Status {
    fn from(problem: Problem) -> Self {
        match problem.status() {
            StatusCode::SERVICE_UNAVAILABLE => Self::unavailable(problem.detail),
            _ => Self::internal(problem.detail),
        }
    }
}

impl From<PlatformError> for Problem {
    fn from(error: PlatformError) -> Self {
        match error {
            PlatformError::Refused { field, message } => Self::invalid_field(field, message),
            PlatformError::Unavailable(_) => Self::unavailable(error.to_string()),
        }
    }
}

fn field_error(field: impl Into<String>, message: impl Into<String>) -> FieldError {
    FieldError {
        field: field.into(),
        message: message.into(),
    }
}

macro_rules! kinds {
    ($($name:ident $status:ident $code:literal $title:literal;)*) => {
        $(pub(crate) static $name: Kind =
            Kind { status: StatusCode::$status, code: $code, title: $title };)*
    };
}

kinds! {
    MALFORMED BAD_REQUEST "malformed" "The request cannot be read";
    UNAUTHORISED UNAUTHORIZED "unauthorised" "A valid token or session is needed";
    SECOND_FACTOR UNAUTHORIZED "second-factor" "A one-time code is needed, too";
    FORBIDDEN FORBIDDEN "forbidden" "The token or person may not do this";
    NOT_FOUND NOT_FOUND "not-found" "There is no such thing";
    WRONG_METHOD METHOD_NOT_ALLOWED "wrong-method" "The method is not accepted here";
    DUPLICATE CONFLICT "duplicate" "The value is taken";
    IN_USE CONFLICT "in-use" "The object is in use";
    ELSEWHERE CONFLICT "elsewhere" "It is not done here";
    IN_PROGRESS CONFLICT "in-progress" "The request is in progress";
    NOT_REVERTIBLE CONFLICT "not-revertible" "The change cannot be taken back";
    STALE_DRAFT CONFLICT "stale-draft" "The draft no longer fits the records";
    CHANGED PRECONDITION_FAILED "changed" "The object has changed in between";
    TOO_LARGE PAYLOAD_TOO_LARGE "too-large" "The body is too large";
    MEDIA_TYPE UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "The body is of the wrong type";
    INVALID UNPROCESSABLE_ENTITY "invalid" "Some fields are not acceptable";
    PRECONDITION_REQUIRED PRECONDITION_REQUIRED "precondition-required" "If-Match is needed";
    TOO_MANY_REQUESTS TOO_MANY_REQUESTS "too-many-requests" "Too many requests";
    INTERNAL INTERNAL_SERVER_ERROR "internal" "The platform is at fault";
    UNAVAILABLE SERVICE_UNAVAILABLE "unavailable" "A part of the platform does not answer";
}
