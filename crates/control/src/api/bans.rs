//! `/v1/bans`: sources whose packets are dropped.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Id;
use crate::paging::Page;
use crate::{Ban, Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(remove))
}

/// Sources whose packets are dropped
#[utoipa::path(
    get,
    path = "/v1/bans",
    tag = "bans",
    responses((status = 200, description = "All that are in force.", body = Page<Ban>)),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<Ban>>, Problem> {
    let items = control.platform().bans().await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Lifts a ban
#[utoipa::path(
    delete,
    path = "/v1/bans/{address}",
    tag = "bans",
    params(("address" = String, Path, description = "The banned address.")),
    responses((status = 204, description = "It is lifted.")),
)]
async fn remove(
    State(control): State<Control>,
    Id(address): Id<IpAddr>,
) -> Result<StatusCode, Problem> {
    if control.platform().remove_ban(address).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("{address} is not banned")))
}
