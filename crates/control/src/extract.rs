//! Reading requests, so that every refusal is a [`Problem`] that names the field.

use std::fmt;
use std::marker::PhantomData;

use axum::body::HttpBody as _;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::{Problem, draft, problem};

/// A JSON body of type `T`.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                &problem::MEDIA_TYPE,
                "a body with Content-Type: application/json is accepted",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|e| unreadable(&e))?;
        // A struct would be read from a list of its fields, too, which nobody is told of.
        if bytes.trim_ascii_start().starts_with(b"[") {
            let detail = "a JSON object is accepted, not a list";
            return Err(Problem::new(&problem::MALFORMED, detail));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value = match serde_path_to_error::deserialize(&mut json) {
            Ok(value) => value,
            Err(error) => {
                let whole = with_whole_numbers(&bytes).map(Self);
                let why = || unknown_fields::<T>(&bytes, &error).unwrap_or_else(|| misfit(&error));
                return whole.ok_or_else(why);
            }
        };
        json.end().map_err(|e| {
            Problem::new(
                &problem::MALFORMED,
                format!("the body goes on after its end: {e}"),
            )
        })?;
        Ok(Self(value))
    }
}

/// A struct within a body, from an object alone: serde takes a list of its fields, too, which nobody is told of.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    from.deserialize_map(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// None where nothing was sent.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state)
            .await
            .map(Some)
    }
}

/// The query string as `T`.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(params)| Self(params))
            .map_err(|rejection: QueryRejection| {
                Problem::new(&problem::MALFORMED, rejection.body_text())
            })
    }
}

/// The last part of the path as an identifier. What is not even of the right form names nothing
/// that exists: 404.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: std::str::FromStr + Send> FromRequestParts<S> for Id<T>
where
    T::Err: std::fmt::Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) =
            path.map_err(|e: PathRejection| Problem::new(&problem::MALFORMED, e.body_text()))?;
        let id = text
            .parse()
            .map_err(|e| Problem::not_found(format!("there is no {text}: {e}")))?;
        Ok(Self(id))
    }
}

/// A body as a `T`, its 30.0 taken for 30.
fn with_whole_numbers<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    draft::write_whole_numbers(&mut value);
    serde_json::from_value(value).ok()
}

/// All fields of a body that a `T` does not have, if `first` complains about one.
fn unknown_fields<T: DeserializeOwned>(
    bytes: &[u8],
    first: &serde_path_to_error::Error<serde_json::Error>,
) -> Option<Problem> {
    let mut name = unknown_name(first)?;
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let mut path = segments(first, &name);
    let mut found = Vec::new();
    while found.len() < UNKNOWN_MAX {
        let parent = path.iter().try_fold(&mut value, |value, key| match value {
            Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
            Value::Object(fields) => fields.get_mut(key),
            _ => None,
        });
        let taken = parent?.as_object_mut()?.remove(&name);
        taken?;
        path.push(name);
        found.push(path.join("."));
        let Err(next) = serde_path_to_error::deserialize::<_, T>(&value) else {
            break;
        };
        let Some(next_name) = unknown_name(&next) else {
            break;
        };
        path = segments(&next, &next_name);
        name = next_name;
    }
    Some(Problem::no_such_fields(found))
}

/// The name in serde's complaint about a field that is not known.
fn unknown_name(error: &serde_path_to_error::Error<serde_json::Error>) -> Option<String> {
    let message = error.inner().to_string();
    let rest = message.strip_prefix("unknown field `")?;
    rest.split('`').next().map(str::to_owned)
}

/// The way to the object that has the field.
fn segments(error: &serde_path_to_error::Error<serde_json::Error>, name: &str) -> Vec<String> {
    let mut path: Vec<String> = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    path.pop_if(|last| last == name);
    path
}

/// Why a JSON text or value is not what was wanted, with the field.
pub(crate) fn misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = error.path().to_string();
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() {
        return Problem::new(
            &problem::MALFORMED,
            format!("the body is not JSON: {inner}"),
        );
    }
    let message = inner.to_string();
    // A missing field is reported at its parent, and its name in backquotes.
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|m| m.split('`').next());
    let field = match (path.as_str(), missing) {
        (".", Some(name)) => name.to_owned(),
        (parent, Some(name)) => format!("{parent}.{name}"),
        (".", None) => String::new(),
        (path, None) => path.to_owned(),
    };
    Problem::malformed_field(field, message)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok());
    let essence = content_type
        .and_then(|v| v.split(';').next())
        .unwrap_or("")
        .trim();
    JSON_TYPES
        .iter()
        .any(|json| essence.eq_ignore_ascii_case(json))
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::too_large(BODY_MAX_BYTES)
    } else {
        Problem::new(&problem::MALFORMED, rejection.body_text())
    }
}

/// Unknown fields named in one answer.
const UNKNOWN_MAX: usize = 20;
const JSON_TYPES: [&str; 2] = ["application/json", "application/merge-patch+json"];
/// Bytes of a request's body; more gets 413.
pub(crate) const BODY_MAX_BYTES: usize = 256 * 1024;
