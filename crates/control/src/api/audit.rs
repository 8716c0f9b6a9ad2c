//! `/v1/audit`: who changed what.

use axum::Json;
use axum::extract::State;
use model::AuditEntry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Params;
use crate::paging::{self, Page, Paging};
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Changes of records, the newest first
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    params(Paging),
    responses((status = 200, description = "With the record before and after, without secrets.", body = Page<AuditEntry>)),
)]
async fn list(
    State(control): State<Control>,
    Params(params): Params<Paging>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let before: Option<u64> = paging::cursor(params.cursor.as_deref())?;
    let found = control
        .records(move |records| records.audit(before, limit + 1))
        .await?;
    Ok(Json(Page::cut(found, limit, |entry| {
        entry.revision.to_string()
    })))
}
