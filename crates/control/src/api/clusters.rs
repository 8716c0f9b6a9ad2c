//! `/v1/clusters`: servers that belong together, and what they carry.

use axum::Json;
use axum::extract::State;
use model::{Cluster, ClusterId, LimitSpec};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::capacity::Capacity;
use crate::paging::Page;
use crate::resource::Resource;
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(health))
}

/// How a cluster is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ClusterHealth {
    /// Which.
    cluster: ClusterId,
    /// What people call it.
    name: String,
    /// What all its servers together may carry.
    limits: LimitSpec,
    /// What its servers carry.
    capacity: Capacity,
}

/// How every cluster is
#[utoipa::path(
    get,
    path = "/v1/cluster-health",
    tag = "clusters",
    responses((status = 200, description = "One entry for each cluster, by name.", body = Page<ClusterHealth>)),
)]
async fn health(State(control): State<Control>) -> Result<Json<Page<ClusterHealth>>, Problem> {
    let (snapshot, servers) = control.servers_health().await?;
    let health = |cluster: &Cluster| {
        let inside = servers.iter().filter(|s| s.cluster == cluster.name);
        let inside: Vec<_> = inside.cloned().collect();
        ClusterHealth {
            cluster: cluster.id,
            name: cluster.name.clone(),
            limits: cluster.limits,
            capacity: Capacity::of(&inside),
        }
    };
    let clusters = snapshot.clusters.iter();
    let mut items: Vec<_> = clusters.map(|cluster| health(cluster)).collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

impl Resource for Cluster {
    const NOUN: &'static str = "clusters";
    const SUMMARY: &'static str = "servers that belong together";
    const FILTERS: &'static [&'static str] = &["name"];

    fn new_id(time_ms: u64, random: u128) -> ClusterId {
        ClusterId::from_parts(time_ms, random)
    }
}
