//! `/v1/listeners`: sockets that are open for SIP.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Body;
use crate::paging::Page;
use crate::{Control, ListenerSpec, ListenerStatus, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
}

/// Sockets that are open for SIP
#[utoipa::path(
    get,
    path = "/v1/listeners",
    tag = "listeners",
    responses((status = 200, description = "All of them; there are few.", body = Page<ListenerStatus>)),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<ListenerStatus>>, Problem> {
    let items = control.platform().listeners().await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Opens another socket, at once and at every later start
#[utoipa::path(
    post,
    path = "/v1/listeners",
    tag = "listeners",
    request_body = ListenerSpec,
    responses((status = 201, description = "It is open.", body = ListenerStatus)),
)]
async fn add(
    State(control): State<Control>,
    Body(spec): Body<ListenerSpec>,
) -> Result<(StatusCode, Json<ListenerStatus>), Problem> {
    let opened = control.platform().add_listener(spec).await?;
    control
        .ring()
        .announce("listeners", "listener.added", json!({ "id": opened.id }));
    Ok((StatusCode::CREATED, Json(opened)))
}

/// Closes a socket that was added
#[utoipa::path(
    delete,
    path = "/v1/listeners/{id}",
    tag = "listeners",
    params(("id" = String, Path, description = "The listener.")),
    responses((status = 204, description = "It is closed.")),
)]
async fn remove(
    State(control): State<Control>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if control.platform().remove_listener(id.clone()).await? {
        control
            .ring()
            .announce("listeners", "listener.removed", json!({ "id": id }));
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found(format!("there is no listener {id}")))
}
