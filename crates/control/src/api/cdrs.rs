//! `/v1/cdrs`: records of calls that have ended.

use axum::Json;
use axum::extract::{Extension, State};
use model::{AccountId, CallId, CarrierId, Cdr, CdrOutcome, CustomerId, UserId};
use serde::Deserialize;
use store::{CdrCursor, CdrFilter};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::extract::{Id, Params};
use crate::paging::{self, Page};
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
}

/// Which CDRs are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CdrParams {
    /// How many items at most: 1 to 500, 50 if left out. Exports have no limit if it is left out.
    pub(crate) limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
    /// Who pays.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// The customer who sent the call.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// The carrier it went to, or came from.
    #[param(value_type = Option<String>)]
    carrier: Option<CarrierId>,
    /// The user who called or was called.
    #[param(value_type = Option<String>)]
    user: Option<UserId>,
    /// The caller, exactly.
    caller: Option<String>,
    /// The called party, exactly.
    called: Option<String>,
    /// How the call ended.
    outcome: Option<CdrOutcome>,
    /// Ended then or later; microseconds since the Unix epoch.
    from_us: Option<u64>,
    /// Ended before; microseconds since the Unix epoch.
    to_us: Option<u64>,
}

impl CdrParams {
    /// The records that are wanted, of those that the caller may see.
    pub(crate) fn filter(self, caller: &Caller) -> Result<CdrFilter, Problem> {
        let Self {
            account,
            customer,
            carrier,
            user,
            caller: from,
            called,
            outcome,
            from_us,
            to_us,
            ..
        } = self;
        Ok(CdrFilter {
            account: caller.only_own(account)?,
            customer,
            carrier,
            user,
            caller: from,
            called,
            outcome,
            from_us,
            to_us,
        })
    }
}

/// Records of calls, the latest end first
#[utoipa::path(
    get,
    path = "/v1/cdrs",
    tag = "cdrs",
    params(CdrParams),
    responses((status = 200, description = "Those that match every parameter.", body = Page<Cdr>)),
)]
async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<CdrParams>,
) -> Result<Json<Page<Cdr>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let after: Option<CdrCursor> = paging::cursor(params.cursor.as_deref())?;
    let filter = params.filter(&caller)?;
    let found = control
        .cdrs(move |cdrs| cdrs.list(&filter, after, limit + 1))
        .await?;
    Ok(Json(Page::cut(found, limit, |cdr| {
        CdrCursor::of(cdr).to_string()
    })))
}

/// The record of one call
#[utoipa::path(
    get,
    path = "/v1/cdrs/{id}",
    tag = "cdrs",
    params(("id" = String, Path, description = "The call.")),
    responses((status = 200, description = "Its record.", body = Cdr)),
)]
async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(call): Id<CallId>,
) -> Result<Json<Cdr>, Problem> {
    let found = control.cdrs(move |cdrs| cdrs.get(call)).await?;
    let found = found.filter(|cdr| caller.sees(cdr.account));
    found.map(Json).ok_or_else(|| {
        Problem::not_found(format!(
            "there is no CDR of {call}; it may still be in progress"
        ))
    })
}
