//! `/v1/limits`: what the limits allow and what of it is in use.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::paging::Page;
use crate::{Control, LimitUsage, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Use of the limits of every entity that has any
#[utoipa::path(
    get,
    path = "/v1/limits",
    tag = "limits",
    responses((status = 200, description = "One entry for each entity with a limit.", body = Page<LimitUsage>)),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<LimitUsage>>, Problem> {
    let items = control.platform().limit_usage().await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}
