//! `/v1/calls`: calls in progress.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use model::{AccountId, CallId, CallState, CallView, ServerId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::extract::{Id, Params};
use crate::live_calls::{CallPage, UnheardServer};
use crate::{CallFilter, Control, Problem, paging};

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
    /// Calls of this server.
    #[param(value_type = Option<String>)]
    server: Option<ServerId>,
}

/// Calls in progress, of all servers
///
/// Control asks each server that has joined. Who does not answer is named in `unheard`.
#[utoipa::path(
    get,
    path = "/v1/calls",
    tag = "calls",
    params(CallParams),
    responses((status = 200, description = "In the order in which they began.", body = CallPage)),
)]
async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<CallParams>,
) -> Result<Json<CallPage>, Problem> {
    let limit = paging::limit(params.limit)?;
    let after: Option<CallId> = paging::cursor(params.cursor.as_deref())?;
    let CallParams {
        account,
        state,
        caller: from,
        called,
        server,
        ..
    } = params;
    let filter = CallFilter {
        account: caller.only_own(account)?,
        state,
        caller: from,
        called,
    };
    caller.reach.check_server(server)?;
    let page = control
        .live_calls(filter, (server, &caller.reach), limit, after)
        .await?;
    Ok(Json(page))
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
    let all = control.live_call(id, &caller.reach).await?;
    let call = all.found.map(|(_, call)| call);
    let call = call.filter(|call| caller.sees(call.account));
    call.map(Json).ok_or_else(|| unknown(id, &all.unheard))
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
    let all = control
        .hang_up_anywhere(id, caller.account, &caller.reach)
        .await?;
    if all.found.is_some() {
        return Ok(StatusCode::NO_CONTENT);
    }
    if all.unheard.is_empty() {
        return Err(unknown(id, &[]));
    }
    let names = names(&all.unheard);
    let detail = format!("no server that answers has the call {id}; unheard: {names}");
    Err(Problem::unavailable(detail))
}

fn unknown(id: CallId, unheard: &[UnheardServer]) -> Problem {
    let detail =
        format!("there is no call {id} in progress; if it was one, its CDR is at /v1/cdrs/{id}");
    Problem::not_found(match unheard {
        [] => detail,
        unheard => format!("{detail}. Not heard: {}", names(unheard)),
    })
}

fn names(servers: &[UnheardServer]) -> String {
    let names: Vec<&str> = servers.iter().map(|server| &*server.name).collect();
    names.join(", ")
}
