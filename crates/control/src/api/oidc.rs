//! `/v1/session/oidc`: signing in by a provider of identities, for browsers.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::session::agent;
use crate::auth::{self, SourceAddress};
use crate::control::now;
use crate::extract::Params;
use crate::oidc::{Brought, Flow, Refused, encoded, forget_cookie};
use crate::session::Way;
use crate::session::{Session, SessionOf};
use crate::{Control, Problem};

/// Routes that need no token.
pub(crate) fn open_routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(provider))
        .routes(routes!(go_to_provider))
        .routes(routes!(come_back))
}

/// By what people can sign in besides names and passwords.
#[derive(Debug, Serialize, ToSchema)]
struct OidcView {
    /// What people call the provider; null: there is none.
    name: Option<String>,
    /// Where a browser goes to sign out there, too; null: the provider has no such page, or was not asked
    /// yet.
    sign_out_url: Option<String>,
}

/// The provider by which people sign in, if there is one
#[utoipa::path(
    get,
    path = "/v1/session/oidc",
    tag = "session",
    security(()),
    responses((status = 200, description = "What a page needs to offer it.", body = OidcView)),
)]
async fn provider(State(control): State<Control>) -> Result<Json<OidcView>, Problem> {
    match control.oidc_settings().await {
        Ok(settings) => Ok(Json(OidcView {
            sign_out_url: control.oidc_sign_out(&settings),
            name: Some(settings.name),
        })),
        Err(Refused::NotSetUp) => Ok(Json(OidcView {
            name: None,
            sign_out_url: None,
        })),
        Err(refused) => Err(Problem::unavailable(refused.to_string())),
    }
}

/// Where somebody wants to go.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BeginParams {
    /// The page of the panel to be shown afterwards: `/calls`.
    to: Option<String>,
}

/// Sends a browser to the provider
///
/// It gets a cookie by which it is known when it comes back, within ten minutes.
#[utoipa::path(
    get,
    path = "/v1/session/oidc/begin",
    tag = "session",
    security(()),
    params(BeginParams),
    responses((status = 303, description = "To the provider; to the panel, with `refused`, if that cannot be asked.")),
)]
async fn go_to_provider(
    State(control): State<Control>,
    SourceAddress(source): SourceAddress,
    way: Way,
    headers: HeaderMap,
    Params(params): Params<BeginParams>,
) -> Result<Response, Problem> {
    auth::check_source(&control, source)?;
    let begun = control.begin_oidc(params.to.unwrap_or_default()).await;
    let (flow, url) = match begun {
        Ok(begun) => begun,
        Err(refused) => return Ok(to_panel(&refused)),
    };
    let cookie = flow.cookie(control.vault(), &headers, way);
    let cookie = cookie.map_err(|error| Problem::unavailable(error.to_string()))?;
    let headers = [(header::LOCATION, url), (header::SET_COOKIE, cookie)];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

/// What a browser brings from the provider. It may bring more, which says nothing to us.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CallbackParams {
    /// What the provider gives something for, once.
    code: Option<String>,
    /// What the browser took there.
    state: Option<String>,
    /// Who sends it.
    iss: Option<String>,
    /// In place of a code: why there is none.
    error: Option<String>,
    /// The same in words.
    error_description: Option<String>,
}

/// Takes a browser back from the provider, signed in
#[utoipa::path(
    get,
    path = "/v1/session/oidc/callback",
    tag = "session",
    security(()),
    params(CallbackParams),
    responses((status = 303, description = "To the page that was wanted, with the cookie of a session; to the panel, with `refused`, if they may not sign in.")),
)]
async fn come_back(
    State(control): State<Control>,
    SourceAddress(source): SourceAddress,
    way: Way,
    headers: HeaderMap,
    Params(params): Params<CallbackParams>,
) -> Result<Response, Problem> {
    auth::check_source(&control, source)?;
    let flow = Flow::of(control.vault(), &headers, way);
    let to = flow.as_ref().map_or("/", Flow::to).to_owned();
    let error = params.error.map(|error| {
        let words = params.error_description.unwrap_or_default();
        format!("{error} {words}")
    });
    let brought = Brought {
        code: params.code,
        state: params.state,
        issuer: params.iss,
        error,
    };
    let forget = forget_cookie(&headers, way);
    let person = match control.finish_oidc(flow, brought, source).await {
        Ok(person) => person,
        Err(refused) => {
            if matches!(refused, Refused::NotBegun | Refused::Untrue(_)) {
                let _ = control.failures().take(source, std::time::Instant::now());
            }
            // Whoever else sends a browser here does not end what it has begun.
            if matches!(refused, Refused::NotBegun) {
                return Ok(to_panel(&refused));
            }
            let forget = AppendHeaders([(header::SET_COOKIE, forget)]);
            return Ok((forget, to_panel(&refused)).into_response());
        }
    };
    let begun = now();
    let session = Session {
        of: SessionOf::oidc(&person),
        begun_us: begun.as_micros(),
        source: source.to_string(),
        agent: agent(&headers),
    };
    let begin = move |records: &dyn store::Records| session.begin(records, begun);
    let cookie = control.records(begin).await?;
    tracing::info!(who = %person.id, %source, "signed in by the provider");
    let cookies = AppendHeaders([
        (header::SET_COOKIE, forget),
        (header::SET_COOKIE, cookie.set(&headers, way)),
    ]);
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)], cookies).into_response())
}

/// Sends a browser to the page that says why nobody signed in.
fn to_panel(refused: &Refused) -> Response {
    tracing::warn!(why = refused.code(), %refused, "somebody did not sign in by the provider");
    let to = format!("/?refused={}", encoded(refused.code()));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}
