//! `/v1/cdrs`: records of calls that have ended.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use model::{AccountId, CallId, CarrierId, Cdr, CdrOutcome, CustomerId, UserId};
use serde::{Deserialize, Serialize};
use store::{CdrCursor, CdrFilter, CdrSearch};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::extract::{Id, Params};
use crate::paging::{self, Page};
use crate::{Control, Problem, Vault};

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

/// One page of CDRs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CdrPage {
    /// What was found.
    items: Vec<Cdr>,
    /// To be given as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
    /// Whether the page has as many items as were wanted, or all there are. If not, the time of the
    /// request was over while there were older records to look at: `next_cursor` goes on there,
    /// even if nothing was found yet.
    complete: bool,
    /// What ended then or later has been looked at, if the page is not complete; microseconds since
    /// the Unix epoch.
    searched_until_us: Option<u64>,
}

impl CdrPage {
    /// Makes a page of what a search for one more than `limit` found; `sealed` is where it goes on that had
    /// no time for more.
    fn of(search: CdrSearch, limit: usize, sealed: Option<String>) -> Self {
        let page = Page::cut(search.found, limit, |cdr| CdrCursor::of(cdr).to_string());
        // Its time was over while it looked for the one that nobody had asked for.
        let is_full = page.items.len() == limit;
        let short_at = search.go_on.filter(|_| !is_full);
        Self {
            items: page.items,
            next_cursor: page.next_cursor.or(sealed),
            complete: short_at.is_none(),
            searched_until_us: short_at.map(|at| at.end_us),
        }
    }
}

/// Records of calls, the latest end first
///
/// Looks for them for about a fifth of a second: a search for values that are each frequent and
/// hardly ever meet in one record may need several requests. See `complete`.
#[utoipa::path(
    get,
    path = "/v1/cdrs",
    tag = "cdrs",
    params(CdrParams),
    responses((status = 200, description = "Those that match every parameter.", body = CdrPage)),
)]
async fn list(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<CdrParams>,
) -> Result<Json<CdrPage>, Problem> {
    let limit = paging::limit(params.limit)?;
    let after = place(control.vault(), params.cursor.as_deref())?;
    let filter = params.filter(&caller)?;
    let found = control
        .cdrs(move |cdrs| cdrs.search(&filter, after, limit + 1, PATIENCE))
        .await?;
    let sealed = found
        .go_on
        .map(|at| seal(control.vault(), at))
        .transpose()?;
    Ok(Json(CdrPage::of(found, limit, sealed)))
}

/// The place of a record that was looked at, and may be one that whoever searches must not see.
fn seal(vault: &Vault, at: CdrCursor) -> Result<String, Problem> {
    let sealed = vault.seal(CURSOR_OWNER, at.to_string().as_bytes());
    let sealed = sealed.map_err(|error| Problem::unavailable(error.to_string()))?;
    // As it may stand in a query without being encoded.
    Ok(sealed.replace('+', "-").replace('/', "_"))
}

/// Reads a cursor, sealed or not.
fn place(vault: &Vault, cursor: Option<&str>) -> Result<Option<CdrCursor>, Problem> {
    let Some(sealed) = cursor.filter(|cursor| cursor.contains(':')) else {
        return paging::cursor(cursor);
    };
    let opened = vault.open(CURSOR_OWNER, &sealed.replace('-', "+").replace('_', "/"));
    // What cannot be opened is no more a cursor than this.
    let text = opened.ok().and_then(|text| String::from_utf8(text).ok());
    paging::cursor(Some(text.as_deref().unwrap_or_default()))
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

/// How long one request looks for records: with all that is around it, an answer takes less than
/// 300 ms.
const PATIENCE: Duration = Duration::from_millis(200);
/// What sealed cursors belong to.
const CURSOR_OWNER: &str = "cdr search";

/// The CDR of a call of nobody that was not answered.
#[cfg(test)]
pub(crate) fn sample(end_us: u64) -> Cdr {
    Cdr {
        call: CallId::from_bits(u128::from(end_us)),
        node: "n1".into(),
        sequence: 1,
        account: None,
        from_user: None,
        to_user: None,
        customer: None,
        number: None,
        carrier: None,
        gateway: None,
        caller: "4930".into(),
        called: "4940".into(),
        destination: "4940".into(),
        source: "udp:192.0.2.1:5060".into(),
        sip_call_id: "a".into(),
        sip_call_id_b: String::new(),
        start_us: end_us,
        ring_us: None,
        answer_us: None,
        end_us,
        outcome: model::CdrOutcome::Failed,
        status: 500,
        reason: String::new(),
        ended_by: model::EndedBy::Caller,
        attempts: 1,
        media_a: None,
        media_b: None,
        recordings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_had_no_time_says_how_far_it_came_and_where_to_go_on() {
        let at = CdrCursor {
            end_us: 7_000_000,
            call: CallId::from_bits(3),
        };
        let search = CdrSearch {
            found: Vec::new(),
            go_on: Some(at),
        };
        let page = CdrPage::of(search, 50, Some("sealed".into()));
        assert!(!page.complete);
        assert_eq!(page.searched_until_us, Some(7_000_000));
        assert_eq!(page.next_cursor.as_deref(), Some("sealed"));
    }

    /// The record may be of somebody else.
    #[test]
    fn where_a_search_goes_on_names_no_call() {
        let (vault, other) = (Vault::new(&[1; 32]), Vault::new(&[2; 32]));
        let at = CdrCursor {
            end_us: 7_000_000,
            call: CallId::from_bits(3),
        };
        let cursor = seal(&vault, at).unwrap();
        assert!(!cursor.contains(&at.call.to_string()), "{cursor}");
        assert!(!cursor.contains(['+', '/', '&', '=']), "{cursor}");
        assert_eq!(place(&vault, Some(&cursor)).unwrap(), Some(at));
        let plain = at.to_string();
        assert_eq!(place(&vault, Some(&plain)).unwrap(), Some(at));
        assert_eq!(place(&vault, None).unwrap(), None);
        let end = cursor.len() - 2;
        for wrong in [&cursor[..end], "v1:", "v1:abc", ":", "x"] {
            assert!(place(&vault, Some(wrong)).is_err(), "{wrong}");
        }
        assert!(place(&other, Some(&cursor)).is_err());
    }

    #[test]
    fn the_last_page_says_that_it_is_the_last() {
        let page = CdrPage::of(CdrSearch::default(), 50, None);
        assert!(page.complete);
        assert_eq!((page.searched_until_us, page.next_cursor), (None, None));
    }

    /// It looked for one more, to know whether there is a next page, and had no time for that.
    #[test]
    fn a_page_that_is_full_is_complete_wherever_the_search_was() {
        let at = CdrCursor {
            end_us: 7_000_000,
            call: CallId::from_bits(3),
        };
        let search = CdrSearch {
            found: vec![sample(8_000_000)],
            go_on: Some(at),
        };
        let page = CdrPage::of(search, 1, Some("sealed".into()));
        assert!(page.complete);
        assert_eq!(page.searched_until_us, None);
        assert_eq!(page.next_cursor.as_deref(), Some("sealed"));
    }
}
