//! Who may ask: bearer tokens (RFC 6750), sessions of browsers, roles, and a bound on guessing.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use model::{ApiToken, Role};

use crate::control::{Caller, now};
use crate::secret::token_hash;
use crate::session::Cookie;
use crate::{Control, Problem, problem};

/// Lets a request on if its token's role suffices, and notes the [`Caller`] with it.
pub(crate) async fn authorise(
    State(control): State<Control>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let source = source(request.extensions());
    let shown = Shown::of(request.method(), request.headers())?;
    let token = shown.authenticate(&control, source).await?;
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let needed = needed_role(request.method(), path);
    if token.role < needed {
        let has = role_name(token.role);
        let detail = format!("it has the role {has}; {} is needed", role_name(needed));
        return Err(Problem::new(&problem::FORBIDDEN, detail));
    }
    request.extensions_mut().insert(Caller { token, source });
    Ok(next.run(request).await)
}

/// Like [`authorise`] with the role viewer, but lets requests from this machine on without a
/// token: what scrapes metrics is often configured without one.
pub(crate) async fn authorise_or_local(
    State(control): State<Control>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let source = source(request.extensions());
    if !source.is_loopback() {
        let shown = Shown::of(request.method(), request.headers())?;
        shown.authenticate(&control, source).await?;
    }
    Ok(next.run(request).await)
}

/// Counts the request for its source, and refuses it if there are too many.
pub(crate) async fn throttle(
    State(control): State<Control>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    control
        .requests()
        .take(source(request.extensions()), Instant::now())
        .map_err(|wait_s| Problem::too_many("this address asks too often", wait_s))?;
    Ok(next.run(request).await)
}

/// Which role a request needs. Reading needs a viewer, except for what tells who may do and
/// did what; settings and tokens need an admin; all other changes need an operator.
fn needed_role(method: &Method, path: &str) -> Role {
    let reads = method == Method::GET || method == Method::HEAD;
    match path.strip_prefix("/v1/").unwrap_or(path) {
        p if p.starts_with("tokens") || p.starts_with("audit") => Role::Admin,
        "routes/simulate" | "session" => Role::Viewer,
        _ if reads => Role::Viewer,
        p if p.starts_with("settings") || p.starts_with("listeners") => Role::Admin,
        _ => Role::Operator,
    }
}

/// What a request shows to be let on.
enum Shown {
    /// A token, by its hash.
    Token(String),
    /// The cookie of a session.
    Session(Cookie),
}

impl Shown {
    /// A token comes before a cookie. A cookie must be shown in a way that only our own pages can.
    fn of(method: &Method, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(header) = headers.get(header::AUTHORIZATION) {
            let text = header.to_str().unwrap_or("");
            return Ok(Self::Token(token_hash(bearer(text)?)));
        }
        let cookie = Cookie::of(headers).ok_or_else(|| {
            let detail = "send Authorization: Bearer and a token, or sign in";
            Problem::new(&problem::UNAUTHORISED, detail)
        })?;
        cookie.admits(method, headers)?;
        Ok(Self::Session(cookie))
    }

    /// An unknown cookie is no guess: a browser shows what it had before a restart again and again.
    async fn authenticate(self, control: &Control, source: IpAddr) -> Result<ApiToken, Problem> {
        match self {
            Self::Token(hash) => authenticate(control, &hash, source).await,
            Self::Session(cookie) => {
                let over = || Problem::new(&problem::UNAUTHORISED, "the session is over: sign in");
                let session = control.sessions().find(&cookie, now()).ok_or_else(over)?;
                let token = known(control, &session.token_hash).await?;
                if token.is_none() {
                    control.sessions().end(&cookie);
                }
                token.ok_or_else(over)
            }
        }
    }
}

/// The token with this hash, if it may be used. Wrong ones of a source are counted.
pub(crate) async fn authenticate(
    control: &Control,
    hash: &str,
    source: IpAddr,
) -> Result<ApiToken, Problem> {
    let too_many =
        |wait_s| Problem::too_many("this address has shown too many wrong tokens", wait_s);
    control
        .failures()
        .check(source, Instant::now())
        .map_err(too_many)?;
    known(control, hash).await?.ok_or_else(|| {
        let _ = control.failures().take(source, Instant::now());
        tracing::warn!("a request showed a token that is not known");
        Problem::new(&problem::UNAUTHORISED, "the token is not known")
    })
}

/// The token with this hash, if there is one; it is used now.
async fn known(control: &Control, hash: &str) -> Result<Option<ApiToken>, Problem> {
    let wanted = hash.to_owned();
    let asked = control
        .records(move |records| records.token_by_hash(&wanted))
        .await;
    let (found, recalled) = match asked {
        Ok(found) => {
            control.known_tokens().learn(hash, found.as_ref());
            (found, false)
        }
        Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
            let known = control.known_tokens().recall(hash);
            (Some(known.ok_or(problem)?), true)
        }
        Err(problem) => return Err(problem),
    };
    let Some(token) = found else {
        return Ok(None);
    };
    let now = now();
    if token.expires_us.is_some_and(|end| end <= now.as_micros()) {
        return Err(Problem::new(
            &problem::UNAUTHORISED,
            "the token has expired",
        ));
    }
    let last_used_us = token.last_used_us.unwrap_or(0);
    if !recalled && now.as_micros().saturating_sub(last_used_us) > TOUCH_INTERVAL.as_micros() as u64
    {
        let id = token.id;
        control
            .records(move |records| records.touch_token(id, now))
            .await?;
    }
    Ok(Some(token))
}

/// The token in the value of Authorization.
fn bearer(text: &str) -> Result<&str, Problem> {
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Problem::new(
            &problem::UNAUTHORISED,
            "only Authorization: Bearer is accepted",
        )),
    }
}

/// Where a request comes from. One without a known source, as a test's, counts as this machine's.
fn source(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([127, 0, 0, 1]), |info| {
            info.0.ip().to_canonical()
        })
}

/// Where a request comes from.
pub(crate) struct SourceAddress(pub(crate) IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for SourceAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(source(&parts.extensions)))
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

/// How exact `last_used_us` of a token is: a write for each request would be too much.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
