//! `/v1/calls`: calls in progress.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use model::{AccountId, CallId, CallState, CallView};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::extract::{Id, Params};
use crate::paging::{self, Page};
use crate::{CallFilter, Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, end))
        .routes(routes!(hang_up))
}

/// Which calls are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallParams {
    /// How many items at most: 1 to 500, 50 if left out.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Calls of this tenant.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// Calls in this state.
    state: Option<CallState>,
    /// Calls whose caller is exactly this.
    caller: Option<String>,
    /// Calls whose called party is exactly this.
    called: Option<String>,
}

/// Calls in progress
#[utoipa::path(
    get,
    path = "/v1/calls",
    tag = "calls",
    params(CallParams),
    responses((status = 200, description = "In the order in which they began.", body = Page<CallView>)),
)]
async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<CallParams>,
) -> Result<Json<Page<CallView>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let after: Option<CallId> = paging::cursor(params.cursor.as_deref())?;
    let CallParams {
        account,
        state,
        caller: from,
        called,
        ..
    } = params;
    let filter = CallFilter {
        account: caller.only_own(account)?,
        state,
        caller: from,
        called,
    };
    let found = control.platform().calls(filter, limit + 1, after).await?;
    Ok(Json(Page::cut(found, limit, |call| call.id.to_string())))
}

/// One call
#[utoipa::path(
    get,
    path = "/v1/calls/{id}",
    tag = "calls",
    params(("id" = String, Path, description = "The call.")),
    responses((status = 200, description = "The call.", body = CallView)),
)]
async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<CallId>,
) -> Result<Json<CallView>, Problem> {
    let found = control.platform().call(id).await?;
    let found = found.filter(|call| caller.sees(call.account));
    found.map(Json).ok_or_else(|| unknown(id))
}

/// Ends a call on both sides
#[utoipa::path(
    post,
    path = "/v1/calls/{id}/hangup",
    tag = "calls",
    params(("id" = String, Path, description = "The call.")),
    responses((status = 204, description = "It ends.")),
)]
async fn hang_up(
    control: State<Control>,
    caller: Extension<Caller>,
    id: Id<CallId>,
) -> Result<StatusCode, Problem> {
    end(control, caller, id).await
}

/// Ends a call on both sides, like `POST /v1/calls/{id}/hangup`
#[utoipa::path(
    delete,
    path = "/v1/calls/{id}",
    tag = "calls",
    params(("id" = String, Path, description = "The call.")),
    responses((status = 204, description = "It ends.")),
)]
async fn end(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<CallId>,
) -> Result<StatusCode, Problem> {
    if caller.account.is_some() {
        let found = control.platform().call(id).await?;
        let found = found.filter(|call| caller.sees(call.account));
        found.ok_or_else(|| unknown(id))?;
    }
    if control.platform().hang_up(id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown(id))
    }
}

fn unknown(id: CallId) -> Problem {
    Problem::not_found(format!(
        "there is no call {id} in progress; if it was one, its CDR is at /v1/cdrs/{id}"
    ))
}
