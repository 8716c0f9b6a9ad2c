//! `/v1/alerts`: what went wrong, when it was over, and who was told.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::alerts::Incident;
use crate::extract::Params;
use crate::paging::{self, Page};
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(try_out))
}

/// Which incidents are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AlertParams {
    /// How many items at most: 1 to 500, 50 if left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those that are not over, or only those that are.
    state: Option<AlertState>,
}

/// Whether an incident is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlertState {
    /// It is not.
    Open,
    /// It is.
    Over,
}

/// What became of a trial.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AlertTrial {
    /// `email` or `webhook`.
    pub(crate) way: String,
    /// Why it was not taken; `None`: it was.
    pub(crate) error: Option<String>,
}

/// What went wrong, the latest first
#[utoipa::path(
    get,
    path = "/v1/alerts",
    tag = "alerts",
    params(AlertParams),
    responses((status = 200, description = "Of the platform, as the control has seen it that tells of it, and of this machine.", body = Page<Incident>)),
)]
async fn list(
    State(control): State<Control>,
    Params(params): Params<AlertParams>,
) -> Result<Json<Page<Incident>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let after: Option<u64> = paging::cursor(params.cursor.as_deref())?;
    let mut found = match control.alerts() {
        Some(alerts) => alerts.incidents(&control).await,
        None => Vec::new(),
    };
    found.retain(|incident| {
        let state = match incident.ended_us {
            None => AlertState::Open,
            Some(_) => AlertState::Over,
        };
        after.is_none_or(|after| incident.id < after)
            && params.state.is_none_or(|wanted| wanted == state)
    });
    found.truncate(limit + 1);
    Ok(Json(Page::cut(found, limit, |incident| {
        incident.id.to_string()
    })))
}

/// Sends a mail and a webhook that say that nothing is wrong, by all ways that are set
#[utoipa::path(
    post,
    path = "/v1/alerts/test",
    tag = "alerts",
    responses((status = 200, description = "What became of each; empty if none is set.", body = Vec<AlertTrial>)),
)]
async fn try_out(State(control): State<Control>) -> Result<Json<Vec<AlertTrial>>, Problem> {
    let settings = control
        .records(|records| Ok(records.settings()?.record.alerts))
        .await?;
    let Some(alerts) = control.alerts() else {
        return Ok(Json(Vec::new()));
    };
    Ok(Json(alerts.try_out(settings).await))
}
