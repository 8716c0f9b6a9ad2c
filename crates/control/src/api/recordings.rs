//! `/v1/recordings`: the files of recorded calls.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::paging::Page;
use crate::{Control, Problem, Recording};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Files of recorded calls, the latest first
#[utoipa::path(
    get,
    path = "/v1/recordings",
    tag = "recordings",
    responses((status = 200, description = "All there are.", body = Page<Recording>)),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<Recording>>, Problem> {
    let items = control.platform().recordings().await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}
