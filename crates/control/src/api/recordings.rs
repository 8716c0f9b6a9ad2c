//! `/v1/recordings`: the files of recorded calls.
//!
//! Those of this machine are looked up in its directory. Of those that media servers and other nodes
//! have made the records of calls tell, and of where the stores of media servers have them the servers
//! themselves.

use axum::Json;
use axum::extract::State;
use model::Cdr;
use store::{CdrCursor, CdrFilter, CdrStore, StoreError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Params;
use crate::paging::{self, Page, Paging};
use crate::{Control, Problem, Recording, RecordingPlace};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Files of recorded calls, the latest first
#[utoipa::path(
    get,
    path = "/v1/recordings",
    tag = "recordings",
    params(Paging),
    responses((
        status = 200,
        description = "Those that this machine has or had, and those that media servers and other \
                       nodes of the platform have made; a node that has joined a platform lists its \
                       own alone. A page may have fewer than were asked for, or none, and yet be \
                       followed by another.",
        body = Page<Recording>,
    )),
)]
async fn list(
    State(control): State<Control>,
    Params(params): Params<Paging>,
) -> Result<Json<Page<Recording>>, Problem> {
    let limit = paging::limit(params.limit)?;
    let after: Option<RecordingPlace> = paging::cursor(params.cursor.as_deref())?;
    let here = control
        .platform()
        .recordings(after.clone(), limit + 1)
        .await?;
    let look = move |cdrs: &dyn CdrStore| match Theirs::look(cdrs, after.as_ref(), limit + 1) {
        // The records of calls are at control, and so is the list of all.
        Err(StoreError::Elsewhere) => Ok(Theirs::default()),
        looked => looked,
    };
    let theirs = control.cdrs(look).await?;
    let mut items = control.platform().locate(theirs.found).await?;
    items.extend(here);
    Recording::sort(&mut items);
    if let Some(end_us) = theirs.looked_until_us {
        items.retain(|recording| recording.changed_us > end_us);
    }
    let mut page = Page::cut(items, limit, |recording| recording.place().to_string());
    if page.next_cursor.is_none() {
        page.next_cursor = theirs.looked_until_us.map(|us| before(us).to_string());
    }
    Ok(Json(page))
}

/// What other machines have recorded.
#[derive(Default)]
struct Theirs {
    /// The latest first.
    found: Vec<Recording>,
    /// Calls that ended then or before were not looked at, or not all of them.
    looked_until_us: Option<u64>,
}

impl Theirs {
    /// Looks for at least `limit` recordings after a place, in as many calls as may be looked at for
    /// one page.
    fn look(
        cdrs: &dyn CdrStore,
        after: Option<&RecordingPlace>,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let filter = CdrFilter {
            to_us: after.map(|place| place.changed_us.saturating_add(1)),
            ..CdrFilter::default()
        };
        let mut found = Vec::new();
        let mut cursor = None;
        for _ in 0..BATCHES_MAX {
            let batch = cdrs.list(&filter, cursor, BATCH)?;
            let recordings = batch.iter().flat_map(of_call);
            found.extend(recordings.filter(|r| after.is_none_or(|after| r.place() < *after)));
            cursor = batch.last().map(CdrCursor::of);
            let Some(last) = cursor.filter(|_| batch.len() == BATCH) else {
                return Ok(Self {
                    found,
                    looked_until_us: None,
                });
            };
            let surely = found.iter().filter(|r| r.changed_us > last.end_us);
            if surely.count() >= limit {
                break;
            }
        }
        Ok(Self {
            found,
            looked_until_us: cursor.map(|last| last.end_us),
        })
    }
}

/// The place before all recordings that were written to last at a time or earlier.
fn before(changed_us: u64) -> RecordingPlace {
    RecordingPlace {
        changed_us: changed_us.saturating_add(1),
        file: String::new(),
        server: String::new(),
    }
}

/// Recordings of a call: those of media servers are named `server:path`, all others are of a node.
fn of_call(cdr: &Cdr) -> impl Iterator<Item = Recording> {
    cdr.recordings.iter().map(|name| {
        let (server, node, file) = match name.split_once(':') {
            Some((server, path)) => (Some(server), None, path),
            None => (None, Some(&*cdr.node), &**name),
        };
        Recording {
            file: file.to_owned(),
            server: server.map(str::to_owned),
            node: node.map(str::to_owned),
            finished: true,
            here: false,
            location: None,
            bytes: None,
            length_ms: None,
            changed_us: cdr.end_us,
        }
    })
}

/// Records of calls that are looked at in one go.
const BATCH: usize = 500;
/// How often for one page: few calls may have been recorded.
const BATCHES_MAX: usize = 10;
