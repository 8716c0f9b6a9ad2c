//! `/v1/array`: registrations shared with servers that are no cluster, and what that costs.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{ArrayView, Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(show))
}

/// How registrations are shared with servers outside a cluster
#[utoipa::path(
    get,
    path = "/v1/array",
    tag = "array",
    responses((status = 200, description = "This server's part; `sharing` is false where it has none.", body = ArrayView)),
)]
async fn show(State(control): State<Control>) -> Result<Json<ArrayView>, Problem> {
    Ok(Json(control.platform().array().await?))
}
