//! Who asks: bearer tokens (RFC 6750), sessions of browsers, and a bound on guessing. What they may
//! do is decided in `access`.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::control::{Caller, Who, now};
use crate::secret::token_hash;
use crate::session::{Cookie, Open, Way};
use crate::{Control, Problem, access, problem};

/// Lets a request on if who asks may do it, and notes the [`Caller`] with it.
pub(crate) async fn authorise(
    State(control): State<Control>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let source = source(request.extensions());
    let way = Way::of(request.extensions());
    let shown = Shown::of(request.method(), request.headers(), way)?;
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let caller = caller(&control, shown, source, (request.method(), path)).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Who goes on reading `path`, by what they showed when they began. Errors: they may not any more, or
/// it cannot be looked up.
pub(crate) async fn reader(
    control: &Control,
    headers: &HeaderMap,
    (source, way): (IpAddr, Way),
    path: &str,
) -> Result<Caller, Problem> {
    let shown = Shown::of(&Method::GET, headers, way)?;
    caller(control, shown, source, (&Method::GET, path)).await
}

async fn caller(
    control: &Control,
    shown: Shown,
    source: IpAddr,
    (method, path): (&Method, &str),
) -> Result<Caller, Problem> {
    let who = shown.authenticate(control, source).await?;
    let caller = Caller::new(who, source);
    access::check(&caller, method, path)?;
    let reach = control.reach(caller.zones()).await?;
    Ok(caller.with_reach(reach))
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
        let way = Way::of(request.extensions());
        let shown = Shown::of(request.method(), request.headers(), way)?;
        let who = shown.authenticate(&control, source).await?;
        access::check(&Caller::new(who, source), request.method(), "metrics")?;
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

/// What a request shows to be let on.
enum Shown {
    /// A token, by its hash.
    Token(String),
    /// The cookie of a session.
    Session(Cookie),
}

impl Shown {
    /// A token comes before a cookie. A cookie must be shown in a way that only our own pages can.
    fn of(method: &Method, headers: &HeaderMap, way: Way) -> Result<Self, Problem> {
        if let Some(header) = headers.get(header::AUTHORIZATION) {
            let text = header.to_str().unwrap_or("");
            return Ok(Self::Token(token_hash(bearer(text)?)));
        }
        let cookie = Cookie::of(headers, way).ok_or_else(|| {
            let detail = "send Authorization: Bearer and a token, or sign in";
            Problem::new(&problem::UNAUTHORISED, detail)
        })?;
        cookie.admits(method, headers)?;
        Ok(Self::Session(cookie))
    }

    /// An unknown cookie is no guess: a browser shows what it had before again and again.
    async fn authenticate(self, control: &Control, source: IpAddr) -> Result<Who, Problem> {
        let cookie = match self {
            Self::Token(hash) => return authenticate(control, &hash, source).await,
            Self::Session(cookie) => cookie,
        };
        let asked = cookie.clone();
        let found = control
            .records(move |records| match Open::find(records, &asked, now())? {
                Some(open) => open.session.of.find(records),
                None => Ok(None),
            })
            .await;
        let who = usable(control, &cookie.hash(), found).await?;
        who.ok_or_else(|| Problem::new(&problem::UNAUTHORISED, "the session is over: sign in"))
    }
}

/// The token with this hash, if it may be used. Wrong ones of a source are counted.
pub(crate) async fn authenticate(
    control: &Control,
    hash: &str,
    source: IpAddr,
) -> Result<Who, Problem> {
    check_source(control, source)?;
    let wanted = hash.to_owned();
    let found = control
        .records(move |records| Ok(records.token_by_hash(&wanted)?.map(Who::Token)))
        .await;
    usable(control, hash, found).await?.ok_or_else(|| {
        let _ = control.failures().take(source, Instant::now());
        tracing::warn!("a request showed a token that is not known");
        Problem::new(&problem::UNAUTHORISED, "the token is not known")
    })
}

/// Refuses a source that has shown too many wrong tokens and passwords.
pub(crate) fn check_source(control: &Control, source: IpAddr) -> Result<(), Problem> {
    let too_many = |wait_s| {
        let detail = "this address has shown too many wrong tokens and passwords";
        Problem::too_many(detail, wait_s)
    };
    let failures = control.failures();
    failures.check(source, Instant::now()).map_err(too_many)
}

/// Whom the store has found, or had when it last answered; a token is used now.
async fn usable(
    control: &Control,
    hash: &str,
    found: Result<Option<Who>, Problem>,
) -> Result<Option<Who>, Problem> {
    let (found, recalled) = match found {
        Ok(found) => {
            control.known().learn(hash, found.as_ref());
            (found, false)
        }
        Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
            let known = control.known().recall(hash);
            (Some(known.ok_or(problem)?), true)
        }
        Err(problem) => return Err(problem),
    };
    let Some(Who::Token(token)) = &found else {
        return Ok(found);
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
    Ok(found)
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

/// How exact `last_used_us` of a token is: a write for each request would be too much.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
