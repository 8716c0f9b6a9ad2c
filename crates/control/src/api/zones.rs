//! `/v1/zones`: regions in which servers stand, and what those carry.

use axum::Json;
use axum::extract::{Extension, State};
use model::{ServerRole, Zone, ZoneId};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::capacity::Capacity;
use crate::control::{Caller, now};
use crate::latency::{ZoneLatency, between_zones};
use crate::paging::Page;
use crate::resource::Resource;
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(latency))
}

/// How a zone is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ZoneHealth {
    /// Which.
    zone: ZoneId,
    /// What people call it.
    name: String,
    /// Degrees north.
    latitude: Option<f64>,
    /// Degrees east.
    longitude: Option<f64>,
    /// Media servers in it.
    media_servers: u32,
    /// What its servers carry.
    capacity: Capacity,
}

/// How every zone is
#[utoipa::path(
    get,
    path = "/v1/zone-health",
    tag = "zones",
    responses((status = 200, description = "One entry for each zone, by name.", body = Page<ZoneHealth>)),
)]
async fn health(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Page<ZoneHealth>>, Problem> {
    let (snapshot, servers) = control.servers_health().await?;
    let health = |zone: &Zone| {
        let inside = servers.iter().filter(|server| server.zone == zone.name);
        let inside: Vec<_> = inside.cloned().collect();
        let media = snapshot.media_servers.iter();
        ZoneHealth {
            zone: zone.id,
            name: zone.name.clone(),
            latitude: zone.latitude.map(Into::into),
            longitude: zone.longitude.map(Into::into),
            media_servers: media.filter(|server| server.zone == zone.name).count() as u32,
            capacity: Capacity::of(&inside),
        }
    };
    let mut items: Vec<_> = snapshot
        .zones
        .iter()
        .filter(|zone| caller.reach.has_zone(&zone.name))
        .map(|zone| health(zone))
        .collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

/// How far zones are from each other
///
/// Nodes measure it among themselves, each a few of each zone, every five seconds. What is older than 20
/// seconds says so, and goes after an hour. Of the first 64 zones by name in which servers stand.
#[utoipa::path(
    get,
    path = "/v1/zones/latency",
    tag = "zones",
    responses((status = 200, description = "One entry for each pair of zones and direction, by name.", body = Page<ZoneLatency>)),
)]
async fn latency(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Page<ZoneLatency>>, Problem> {
    let snapshot = control.platform_snapshot().await?;
    let servers = snapshot.servers.iter().map(|server| &**server);
    let servers: Vec<_> = servers
        .filter(|s| s.revoked_us.is_none() && s.role == ServerRole::Switch)
        .collect();
    let measured = control.fleet().distances();
    let mut items = between_zones(&servers, &measured, now().as_micros());
    items.retain(|pair| {
        let mut ends = [&pair.from, &pair.to].into_iter();
        ends.any(|zone| caller.reach.has_zone(zone))
    });
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

impl Resource for Zone {
    const NOUN: &'static str = "zones";
    const SUMMARY: &'static str = "a region in which servers stand";
    const FILTERS: &'static [&'static str] = &["name"];

    fn zone(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn new_id(time_ms: u64, random: u128) -> ZoneId {
        ZoneId::from_parts(time_ms, random)
    }
}
