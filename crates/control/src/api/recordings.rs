//! `/v1/recordings`: the files of recorded calls.
//!
//! Those of this machine are looked up in its directory. Of those that media servers have made the
//! records of calls tell.

use axum::Json;
use axum::extract::State;
use model::Cdr;
use store::CdrFilter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::paging::Page;
use crate::{Control, Problem, Recording};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Files of recorded calls, the latest first
#[utoipa::path(
    get,
    path = "/v1/recordings",
    tag = "recordings",
    responses((
        status = 200,
        description = "All that this machine has or had, and those that media servers have made of \
                       the latest 1,000 calls.",
        body = Page<Recording>,
    )),
)]
async fn list(State(control): State<Control>) -> Result<Json<Page<Recording>>, Problem> {
    let mut items = control.platform().recordings().await?;
    let latest = control
        .cdrs(|cdrs| cdrs.list(&CdrFilter::default(), None, CDRS_MAX))
        .await?;
    items.extend(latest.iter().flat_map(on_media_servers));
    items.sort_by(|a, b| (b.changed_us, &b.file).cmp(&(a.changed_us, &a.file)));
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Recordings of a call that are named `server:path`.
fn on_media_servers(cdr: &Cdr) -> impl Iterator<Item = Recording> {
    let named = cdr
        .recordings
        .iter()
        .filter_map(|name| name.split_once(':'));
    named.map(|(server, path)| Recording {
        file: path.to_owned(),
        server: Some(server.to_owned()),
        finished: true,
        here: false,
        location: None,
        bytes: None,
        length_ms: None,
        changed_us: cdr.end_us,
    })
}

/// The latest records that are looked at.
const CDRS_MAX: usize = 1_000;
