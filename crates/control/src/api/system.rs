//! What machines ask: health, readiness, metrics, version.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{Control, Problem, Readiness, SiteKind};

/// Routes that need no token.
pub(crate) fn open_routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(readiness))
        .routes(routes!(version))
}

/// Metrics, which need a token from elsewhere.
pub(crate) fn metrics_routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Whether the process answers at all
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "system",
    security(()),
    responses((status = 200, description = "It does.", body = String)),
)]
async fn health() -> &'static str {
    "ok\n"
}

/// Whether the node takes calls
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "system",
    security(()),
    responses(
        (status = 200, description = "It does.", body = Readiness),
        (status = 503, description = "It does not.", body = Readiness),
        (status = 504, description = "Its switch does not answer.", body = Readiness),
    ),
)]
async fn readiness(State(control): State<Control>) -> Response {
    let (status, readiness) = match control.platform().readiness().await {
        Ok(readiness) if readiness.ready => (StatusCode::OK, readiness),
        Ok(readiness) => (StatusCode::SERVICE_UNAVAILABLE, readiness),
        Err(error) => {
            let problems = vec![error.to_string()];
            let ready = false;
            (StatusCode::GATEWAY_TIMEOUT, Readiness { ready, problems })
        }
    };
    (status, Json(readiness)).into_response()
}

/// Everything measured, in Prometheus text format
///
/// From the machine itself it needs no token.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "system",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")),
)]
async fn metrics(State(control): State<Control>) -> Result<Response, Problem> {
    let mut text = control.platform().metrics().await?;
    control.write_duties(&mut text);
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response())
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    /// `tandem`.
    name: &'static str,
    /// The program's version.
    version: &'static str,
    /// The API's version, the first part of its paths.
    api: &'static str,
    /// What stands at `/`.
    ui: SiteKind,
}

/// What runs here
#[utoipa::path(
    get,
    path = "/v1/version",
    tag = "system",
    security(()),
    responses((status = 200, description = "The version.", body = Version)),
)]
async fn version(State(control): State<Control>) -> Json<Version> {
    Json(Version {
        name: "tandem",
        version: env!("CARGO_PKG_VERSION"),
        api: "v1",
        ui: control.site_kind(),
    })
}
