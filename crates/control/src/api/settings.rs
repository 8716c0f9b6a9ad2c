//! `/v1/settings`: what applies where no record says otherwise.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use model::{Settings, Validate};
use serde_json::{Value, json};
use store::Stored;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::etag::{self, IfMatch};
use crate::extract::Body;
use crate::{Control, Problem, draft};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(read, replace, change))
}

/// The settings
#[utoipa::path(
    get,
    path = "/v1/settings",
    tag = "settings",
    responses((status = 200, description = "The settings, with their ETag.", body = Settings)),
)]
async fn read(State(control): State<Control>) -> Result<Response, Problem> {
    Ok(answer(
        &control.records(|records| records.settings()).await?,
    ))
}

/// Replaces the settings; what is left out becomes the default
#[utoipa::path(
    put,
    path = "/v1/settings",
    tag = "settings",
    params(("If-Match" = String, Header, description = "The ETag of the settings as they were read.")),
    request_body = Settings,
    responses((status = 200, description = "The settings as they are now.", body = Settings)),
)]
async fn replace(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(body): Body<Value>,
) -> Result<Response, Problem> {
    let condition = IfMatch::required(&headers)?;
    let current = control.records(|records| records.settings()).await?;
    update(
        &control,
        caller,
        condition.expected(current.revision)?,
        body,
    )
    .await
}

/// Changes some settings: a JSON merge patch (RFC 7396)
#[utoipa::path(
    patch,
    path = "/v1/settings",
    tag = "settings",
    params(("If-Match" = String, Header, description = "The ETag of the settings as they were read.")),
    request_body = Settings,
    responses((status = 200, description = "The settings as they are now.", body = Settings)),
)]
async fn change(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(patch): Body<Value>,
) -> Result<Response, Problem> {
    let condition = IfMatch::required(&headers)?;
    let current = control.records(|records| records.settings()).await?;
    let mut body = json!(current.record);
    draft::merge(&mut body, patch);
    update(
        &control,
        caller,
        condition.expected(current.revision)?,
        body,
    )
    .await
}

async fn update(
    control: &Control,
    caller: Caller,
    expected: u64,
    mut body: Value,
) -> Result<Response, Problem> {
    draft::write_whole_numbers(&mut body);
    let settings: Settings = draft::parse(&body)?;
    draft::refuse_unknown(&body, &settings)?;
    let complaints = settings.validate();
    if !complaints.is_empty() {
        return Err(Problem::invalid(complaints));
    }
    let stored = control
        .change(move |records| {
            let revision = records.set_settings(&caller.actor(), &settings, expected)?;
            Ok((
                revision,
                Stored {
                    revision,
                    record: settings,
                },
            ))
        })
        .await?;
    control
        .ring()
        .announce("settings", "settings.changed", json!({}));
    Ok(answer(&stored))
}

fn answer(stored: &Stored<Settings>) -> Response {
    (
        [(header::ETAG, etag::of(stored.revision))],
        Json(&stored.record),
    )
        .into_response()
}
