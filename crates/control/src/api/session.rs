//! `/v1/session`: signing in with a name and a password or with a token, for browsers.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{AccountId, Role, ZoneId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{self, OpenArea};
use crate::auth::{self, SourceAddress};
use crate::control::{Caller, Who, now};
use crate::extract::Body;
use crate::session::{self, Cookie, Open, Session, SessionOf, Way};
use crate::sign_in::{self, Shown};
use crate::{Control, Problem, problem};

/// Signing in and out, which need no token.
pub(crate) fn open_routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(begin, end))
}

/// Who is signed in.
pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(show))
}

/// What somebody signs in with: a name and a password, or a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The name of a person of `/v1/people`.
    #[serde(default)]
    name: Option<String>,
    /// Their password.
    #[serde(default)]
    password: Option<String>,
    /// What their authenticator app shows, or a recovery code, if they have a second factor.
    #[serde(default)]
    code: Option<String>,
    /// A token of `/v1/tokens`, in place of all that.
    #[serde(default)]
    token: Option<String>,
}

/// Who asks, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    /// The identifier of the person or token.
    id: String,
    /// The name of the person or token.
    name: String,
    /// What they may do.
    role: Role,
    /// The account they are confined to; null: they see the whole platform.
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// The zones they are confined to; none means all.
    #[schema(value_type = Vec<String>)]
    zones: Vec<ZoneId>,
    /// The areas of the API that are open to them.
    areas: Vec<OpenArea>,
    /// Since when they have a second factor, microseconds since the Unix epoch; null: they have none,
    /// or are a token.
    second_factor_us: Option<u64>,
    /// By what the session was begun; null without one.
    by: Option<SessionBy>,
    /// Which of `/v1/sessions` this is; null without a session.
    session: Option<String>,
    /// The session ends then, microseconds since the Unix epoch; null without a session.
    expires_us: Option<u64>,
    /// What changes asked for with the cookie have to carry as `X-CSRF-Token`; null without a
    /// session.
    csrf_token: Option<String>,
}

/// By what a session was begun.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum SessionBy {
    /// A name and a password.
    Password,
    /// The provider of the settings.
    Oidc,
    /// A token.
    Token,
}

impl SessionBy {
    const fn of(of: &SessionOf) -> Self {
        match of {
            SessionOf::Token(_) => Self::Token,
            SessionOf::Person { .. } => Self::Password,
            SessionOf::Oidc { .. } => Self::Oidc,
        }
    }
}

/// Signs in: shows a name and a password, or a token, once, and gets a cookie for 12 hours
///
/// The cookie is HttpOnly and SameSite=Strict. It may do what the person or token may, and ends with
/// them and with the password. Without a code that is needed the answer is 401 with the code
/// `second-factor`.
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
    way: Way,
    headers: HeaderMap,
    Body(shown): Body<SignIn>,
) -> Result<Response, Problem> {
    let (who, of) = match shown {
        SignIn {
            token: Some(token), ..
        } => {
            let hash = crate::token_hash(token.trim());
            let who = auth::authenticate(&control, &hash, source).await?;
            (who, SessionOf::Token(hash))
        }
        SignIn {
            name: Some(name),
            password: Some(password),
            code,
            ..
        } => {
            let shown = Shown {
                name,
                password,
                code,
            };
            let person = sign_in::sign_in(&control, shown, source).await?;
            let of = SessionOf::person(&person);
            (Who::Person(Box::new(person)), of)
        }
        _ => {
            let detail = "a name and a password are needed, or a token";
            return Err(Problem::new(&problem::UNAUTHORISED, detail));
        }
    };
    let caller = Caller::new(who, source);
    let begun = now();
    let session = Session {
        of,
        begun_us: begun.as_micros(),
        source: source.to_string(),
        agent: agent(&headers),
    };
    let cookie = control
        .records(move |records| session.begin(records, begun))
        .await?;
    tracing::info!(who = caller.id(), %source, "signed in");
    let set = cookie.set(&headers, way);
    let view = view(&control, &caller, Some(cookie)).await?;
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
    way: Way,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(cookie) = Cookie::of(&headers, way) {
        control.known().learn(&cookie.hash(), None);
        control.records(move |records| cookie.end(records)).await?;
    }
    let forget = session::forget(&headers, way);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, forget)]).into_response())
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
    way: Way,
    headers: HeaderMap,
) -> Result<Json<SessionView>, Problem> {
    let cookie = Cookie::of(&headers, way).filter(|_| !headers.contains_key(header::AUTHORIZATION));
    Ok(Json(view(&control, &caller, cookie).await?))
}

async fn view(
    control: &Control,
    caller: &Caller,
    cookie: Option<Cookie>,
) -> Result<SessionView, Problem> {
    let csrf_token = cookie.as_ref().map(Cookie::csrf_token);
    let open = match cookie {
        Some(cookie) => {
            let found = move |records: &dyn store::Records| Open::find(records, &cookie, now());
            control.records(found).await?
        }
        None => None,
    };
    let factor = match &caller.who {
        Who::Person(person) => person.second_factor.as_ref(),
        Who::Token(_) => None,
    };
    Ok(SessionView {
        id: caller.id(),
        name: caller.name().to_owned(),
        role: caller.role,
        account: caller.account,
        zones: caller.zones().to_vec(),
        areas: access::open_to(caller),
        second_factor_us: factor.map(|factor| factor.since_us),
        by: open.as_ref().map(|open| SessionBy::of(&open.session.of)),
        session: open.as_ref().map(|open| open.id.clone()),
        expires_us: open.map(|open| open.ends_us),
        csrf_token,
    })
}

/// What a browser says it is, cut to what is worth keeping.
pub(crate) fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    agent.unwrap_or("").chars().take(AGENT_MAX).collect()
}

/// Characters kept of what a browser says it is.
const AGENT_MAX: usize = 200;
