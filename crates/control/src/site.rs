//! What is served beside the API: the files of the control panel.
//!
//! The panel is one page that finds its own way: each path that neither the API nor a file has is
//! answered with its index. What stands under `assets/` carries a hash in its name and never
//! changes. Nothing that the page needs comes from another host, and its policy says so.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Control, Problem};

/// Files to be served.
pub trait Site: Send + Sync + 'static {
    /// The file of a path without its leading slash: `assets/index-1a2b3c.js`.
    fn file(&self, path: &str) -> Option<SiteFile>;

    /// What is there.
    fn kind(&self) -> SiteKind;
}

/// A file of a [`Site`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteFile {
    /// What it is, for Content-Type.
    pub media_type: &'static str,
    /// Its bytes.
    pub content: Cow<'static, [u8]>,
    /// The same, compressed by Brotli (RFC 7932), if that was done. Browsers take it by HTTPS and
    /// from their own machine alone.
    pub brotli: Option<Cow<'static, [u8]>>,
    /// The same, compressed by gzip (RFC 1952), if that was done.
    pub gzip: Option<Cow<'static, [u8]>>,
}

/// What stands at `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SiteKind {
    /// The control panel.
    Embedded,
    /// A page that says how the panel is built in.
    StandIn,
    /// Nothing.
    Absent,
}

/// Answers what no route of the API has taken.
pub(crate) async fn serve(State(control): State<Control>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    let Some(site) = control.site().filter(|_| reads && !is_of_api(path)) else {
        return unknown_path();
    };
    if let Some(file) = site.file(path).filter(|_| path != INDEX) {
        let lasting = if path.starts_with(HASHED) {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        return answer(file, lasting, request.headers());
    }
    if path.starts_with(HASHED) {
        return unknown_path();
    }
    match site.file(INDEX) {
        Some(index) => page(&index),
        None => unknown_path(),
    }
}

fn answer(file: SiteFile, lasting: &'static str, asked: &HeaderMap) -> Response {
    let headers = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CACHE_CONTROL, lasting),
        (header::VARY, "accept-encoding"),
    ];
    let smaller = [("br", file.brotli), ("gzip", file.gzip)];
    let taken = smaller
        .into_iter()
        .find_map(|(coding, content)| Some((coding, content.filter(|_| takes(asked, coding))?)));
    match taken {
        Some((coding, content)) => {
            let encoding = [(header::CONTENT_ENCODING, coding)];
            (headers, encoding, body(content)).into_response()
        }
        None => (headers, body(file.content)).into_response(),
    }
}

/// What is part of the program is sent as it lies there.
fn body(content: Cow<'static, [u8]>) -> Body {
    match content {
        Cow::Borrowed(content) => Body::from(Bytes::from_static(content)),
        Cow::Owned(content) => Body::from(content),
    }
}

/// The index with the number that its styles show, another one each time: a style that somebody
/// else brings in does not know it.
fn page(index: &SiteFile) -> Response {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        return Problem::unavailable(error.to_string()).into_response();
    }
    let nonce = base64::engine::general_purpose::STANDARD.encode(bytes);
    let text = String::from_utf8_lossy(&index.content).replace(NONCE_MARK, &nonce);
    let policy = format!("{POLICY}; style-src 'self' 'nonce-{nonce}'");
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(index.media_type),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Base64 and our own words are always a valid header value.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// Whether a coding is accepted (RFC 9110 §12.5.3); a weight of nothing refuses it.
fn takes(asked: &HeaderMap, coding: &str) -> bool {
    let lines = asked.get_all(header::ACCEPT_ENCODING).into_iter();
    let mut offers = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    offers.any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q', '=', ' ']);
        let is_refused = weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0);
        name.trim().eq_ignore_ascii_case(coding) && !is_refused
    })
}

fn is_of_api(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    OF_API.contains(&first)
}

fn unknown_path() -> Response {
    Problem::not_found("no such path; /v1/openapi.json lists all").into_response()
}

/// First parts of paths that are the API's, whether it has the path or not.
const OF_API: [&str; 4] = ["v1", "metrics", "healthz", "readyz"];
const INDEX: &str = "index.html";
/// Where the names of files carry a hash.
const HASHED: &str = "assets/";
/// What stands in the index where the number is to be.
const NONCE_MARK: &str = "%NONCE%";
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; \
    img-src 'self' data:; font-src 'self'; manifest-src 'self'; media-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
