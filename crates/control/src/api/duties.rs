//! `/v1/duties`: which of the controls that share a store does what only one of them does.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::duties::Duty;
use crate::paging::Page;
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Who does something that one control does alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DutyView {
    /// Which.
    pub(crate) duty: Duty,
    /// It in words.
    pub(crate) text: String,
    /// The server whose control does it; `None`: nobody does at this moment.
    pub(crate) server: Option<String>,
    /// What people call that server; its identifier where it is not in the list of servers.
    pub(crate) name: Option<String>,
    /// Whether that is the one that answers.
    pub(crate) here: bool,
    /// How often it has changed hands.
    pub(crate) fence: Option<u64>,
    /// If it is not renewed, another takes it then; milliseconds.
    pub(crate) left_ms: Option<u64>,
}

/// Which control does what only one of them does
#[utoipa::path(
    get,
    path = "/v1/duties",
    tag = "duties",
    responses((status = 200, description = "All duties, as the store has them.", body = Page<DutyView>)),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<DutyView>>, Problem> {
    let asked = control.records(|records| Ok((records.leases()?, records.snapshot()?.servers)));
    let (leases, servers) = asked.await?;
    let own = control.duty_owner();
    let view = |duty: Duty| {
        let lease = leases.iter().find(|lease| lease.duty == duty.name());
        let server = lease.map(|lease| lease.owner.clone());
        let name = server.as_ref().map(|id| {
            let mut known = servers.iter();
            let known = known.find(|one| one.id.to_string() == *id);
            known.map_or_else(|| id.clone(), |one| one.name.clone())
        });
        DutyView {
            duty,
            text: duty.words().to_owned(),
            here: server.is_some() && server == own,
            server,
            name,
            fence: lease.map(|lease| lease.fence),
            left_ms: lease.map(|lease| u64::try_from(lease.left.as_millis()).unwrap_or(u64::MAX)),
        }
    };
    Ok(Json(Page {
        items: Duty::ALL.map(view).to_vec(),
        next_cursor: None,
    }))
}
