//! `/v1/session`: signing in with a token, for browsers.

use axum::Json;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{ApiToken, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, SourceAddress};
use crate::control::{Caller, now};
use crate::extract::Body;
use crate::secure::Source;
use crate::session::{self, Cookie, Way};
use crate::{Control, Problem};

/// Signing in and out, which need no token.
pub(crate) fn open_routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(begin, end))
}

/// Who is signed in.
pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(show))
}

/// What somebody signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// A token of `/v1/tokens`.
    token: String,
}

/// Who asks, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    /// The name of the token.
    name: String,
    /// What they may do.
    role: Role,
    /// The session ends then, microseconds since the Unix epoch; null without a session.
    expires_us: Option<u64>,
    /// What changes asked for with the cookie have to carry as `X-CSRF-Token`; null without a
    /// session.
    csrf_token: Option<String>,
}

/// Signs in: shows a token once, and gets a cookie for 12 hours
///
/// The cookie is HttpOnly and SameSite=Strict. It may do what the token may, and ends with it.
#[utoipa::path(
    post,
    path = "/v1/session",
    tag = "session",
    security(()),
    request_body = SignIn,
    responses((status = 200, description = "With the cookie.", body = SessionView)),
)]
async fn begin(
    State(control): State<Control>,
    SourceAddress(source): SourceAddress,
    tls: Option<Extension<ConnectInfo<Source>>>,
    headers: HeaderMap,
    Body(shown): Body<SignIn>,
) -> Result<Response, Problem> {
    let hash = crate::token_hash(shown.token.trim());
    let token = auth::authenticate(&control, &hash, source).await?;
    let now = now();
    let cookie = control.sessions().begin(hash, now)?;
    tracing::info!(token = %token.id, %source, "signed in");
    let set = cookie.set(&headers, way(tls.as_ref()));
    let view = view(&control, &token, Some(&cookie));
    Ok(([(header::SET_COOKIE, set)], Json(view)).into_response())
}

/// Signs out: the session ends, and the browser forgets the cookie
#[utoipa::path(
    delete,
    path = "/v1/session",
    tag = "session",
    security(()),
    responses((status = 204, description = "There is no session any more.")),
)]
async fn end(
    State(control): State<Control>,
    tls: Option<Extension<ConnectInfo<Source>>>,
    headers: HeaderMap,
) -> Response {
    if let Some(cookie) = Cookie::of(&headers) {
        control.sessions().end(&cookie);
    }
    let forget = session::forget(&headers, way(tls.as_ref()));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, forget)]).into_response()
}

/// Who asks
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "session",
    responses((status = 200, description = "By a session or a token.", body = SessionView)),
)]
async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Json<SessionView> {
    let cookie = Cookie::of(&headers).filter(|_| !headers.contains_key(header::AUTHORIZATION));
    Json(view(&control, &caller.token, cookie.as_ref()))
}

fn view(control: &Control, token: &ApiToken, cookie: Option<&Cookie>) -> SessionView {
    let session = cookie.and_then(|cookie| control.sessions().find(cookie, now()));
    SessionView {
        name: token.name.clone(),
        role: token.role,
        expires_us: session.map(|session| session.ends.as_micros()),
        csrf_token: cookie.map(Cookie::csrf_token),
    }
}

fn way(tls: Option<&Extension<ConnectInfo<Source>>>) -> Way {
    if tls.is_some() { Way::Tls } else { Way::Plain }
}
