//! `/v1/audit`: who changed what.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use model::AuditEntry;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::extract::{Id, Params};
use crate::paging::{self, Page, Paging};
use crate::revert::{Refused, revert};
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(take_back))
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

/// Takes back a change, if it is the last one of its record
///
/// The record becomes what it was before; secrets stay as they are, because the log does not keep
/// them. It is a change like others, and can be taken back in turn.
#[utoipa::path(
    post,
    path = "/v1/audit/{id}/revert",
    tag = "audit",
    params(("id" = String, Path, description = "The revision that the change made.")),
    responses((status = 204, description = "It is taken back.")),
)]
async fn take_back(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(revision): Id<u64>,
) -> Result<StatusCode, Problem> {
    let no_such = || Problem::not_found(format!("there is no change {revision}"));
    let next = revision.checked_add(1).ok_or_else(no_such)?;
    let found = control
        .records(move |records| records.audit(Some(next), 1))
        .await?;
    let entry = found.into_iter().next();
    let entry = entry.filter(|entry| entry.revision == revision);
    let entry = entry.ok_or_else(no_such)?;
    let kind = entry.kind.clone();
    let reverted = control.change(move |records| {
        let actor = caller.actor();
        match revert(records, &actor, &entry) {
            Ok(revision) => Ok((revision, Ok(()))),
            Err(Refused::Store(error)) => Err(error),
            Err(refused) => Ok((0, Err(refused))),
        }
    });
    reverted.await??;
    let topic = match &*kind {
        "person" => "people".to_owned(),
        "settings" => kind.clone(),
        _ => format!("{kind}s"),
    };
    let name = format!("{kind}.reverted");
    let data = json!({ "revision": revision });
    control.ring().announce(&topic, &name, data);
    Ok(StatusCode::NO_CONTENT)
}
