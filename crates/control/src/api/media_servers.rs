//! `/v1/media-servers`: where RTP is relayed, and how each server is.

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Extension, State};
use model::{MediaServer, MediaServerHealth, MediaServerId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::paging::Page;
use crate::resource::Resource;
use crate::{Control, Problem};

/// Routes that only media servers have.
pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(health))
}

/// How every media server is
#[utoipa::path(
    get,
    path = "/v1/media-server-health",
    tag = "media-servers",
    responses((status = 200, description = "One entry for each media server.", body = Page<MediaServerHealth>)),
)]
async fn health(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Page<MediaServerHealth>>, Problem> {
    let mut items = control.platform().media_server_health().await?;
    if caller.reach.is_confined() {
        let newest = control.newest_snapshot().await?;
        let snapshot = newest.borrow().clone();
        let servers = snapshot.media_servers.iter();
        let theirs = servers.filter(|server| caller.reach.has_zone(&server.zone));
        let theirs: HashSet<_> = theirs.map(|server| server.id).collect();
        items.retain(|health| theirs.contains(&health.media_server));
    }
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

impl Resource for MediaServer {
    const NOUN: &'static str = "media-servers";
    const SUMMARY: &'static str = "a machine that relays RTP";
    const FILTERS: &'static [&'static str] = &["name", "zone", "control", "enabled", "draining"];

    fn zone(&self) -> Option<&str> {
        Some(&self.zone)
    }

    fn new_id(time_ms: u64, random: u128) -> MediaServerId {
        MediaServerId::from_parts(time_ms, random)
    }
}
