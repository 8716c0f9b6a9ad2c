//! `/v1/posture`: the single points of failure of this deployment.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{Control, Posture, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Which parts of the deployment have no second
///
/// As this server sees it: the servers of its cluster, their machines, the live store, the records,
/// media servers and the gateways of each route; what is lost while a part is away, and what gives it
/// a second.
#[utoipa::path(
    get,
    path = "/v1/posture",
    tag = "posture",
    responses((status = 200, description = "The parts, those without a second first.", body = Posture)),
)]
async fn show(State(control): State<Control>) -> Result<Json<Posture>, Problem> {
    let there = control.platform().deployment().await?;
    let media = control.platform().media_server_health().await?;
    let records = control.records(|records| records.snapshot()).await?;
    Ok(Json(Posture::of(&there, &records, &media)))
}
