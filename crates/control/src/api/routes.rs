//! `/v1/routes`: which carrier takes which numbers, and what a call would do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use model::{Route, RouteId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::drafts::Place;
use crate::extract::Body;
use crate::resource::Resource;
use crate::{Control, Problem, RouteQuery, Simulation};

/// Routes that only routes have.
pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(simulate))
}

/// What would happen to a call, by the engine that decides real ones
#[utoipa::path(
    post,
    path = "/v1/routes/simulate",
    tag = "routes",
    request_body = RouteQuery,
    responses((status = 200, description = "The decision, step by step.", body = Simulation)),
)]
async fn simulate(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Body(query): Body<RouteQuery>,
) -> Result<Json<Simulation>, Problem> {
    if query.called.is_empty() {
        return Err(Problem::invalid_field(
            "called",
            "the called number or name is needed",
        ));
    }
    let configuration = match place {
        Place::Live => None,
        Place::Draft(_) => {
            let shown = place.records(&control, &caller, |records| records.snapshot());
            Some(Arc::new(shown.await?))
        }
    };
    let simulated = control.platform().simulate(query, configuration);
    Ok(Json(simulated.await?))
}

impl Resource for Route {
    const NOUN: &'static str = "routes";
    const SUMMARY: &'static str = "which carrier takes numbers with a prefix";
    const FILTERS: &'static [&'static str] = &["prefix", "carrier", "account", "enabled"];

    fn new_id(time_ms: u64, random: u128) -> RouteId {
        RouteId::from_parts(time_ms, random)
    }
}
