//! What a started node keeps together with others: a cluster, or an array.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use store::ArrayWatch;

use super::node::{Node, node_name};
use crate::calls::Calls;
use crate::data::Data;
use crate::duties::Duties;
use crate::locations::Locations;
use crate::permits::Permits;
use crate::roster::Roster;
use crate::starts::Starts;
use crate::{UpOptions, addresses, array};

/// What this node does together with others. The calls come first: they are written before the node
/// leaves.
pub(super) struct Cluster {
    _calls: Calls,
    _duties: Duties,
    pub(super) locations: Option<Locations>,
    _permits: Permits,
}

/// Where a live store is said, this node keeps its limits together with others, lets them know of its
/// calls, and shares bindings with them unless these are to stay here.
pub(super) fn join_cluster(
    options: &UpOptions,
    data: &Data,
    api: Option<&std::net::TcpListener>,
    node: &Node,
) -> Result<Option<Cluster>> {
    let (Some(url), Some(api)) = (&options.live, api) else {
        return Ok(None);
    };
    let address = addresses::among_nodes(options).context(
        "--live: no address at which other nodes would find this one; say it with --cluster-address",
    )?;
    let api = SocketAddr::new(address, api.local_addr()?.port());
    let name = node_name();
    let roster = Roster::of(&name)?;
    let (visitor, health) = (node.visitor.clone(), node.live_health.clone());
    let known = (name.as_str(), roster.clone());
    let permits = Permits::start(url, known, api, visitor.clone(), health)?;
    let known = options
        .shares_registrations()
        .then(|| node.location_health.clone());
    let orders = node.calls_end.clone();
    let names = (roster.clone(), Starts::read(data));
    let calls = Calls::start(url, orders, names, visitor.clone(), known)?;
    let duties = Duties::start(url, roster.clone(), visitor)?;
    let locations = if options.shares_registrations() {
        let (visitor, health) = (node.visitor.clone(), node.location_health.clone());
        let known = (roster, api, data.cluster_key_print()?);
        Some(Locations::start(
            url,
            known,
            node.net.clone(),
            visitor,
            health,
        )?)
    } else {
        None
    };
    Ok(Some(Cluster {
        _calls: calls,
        _duties: duties,
        locations,
        _permits: permits,
    }))
}

/// Where an array is said, this server shares bindings with others that are no cluster.
pub(super) fn join_array(
    options: &UpOptions,
    data: &Data,
    node: &Node,
) -> Result<Option<(Locations, ArrayWatch)>> {
    let Some(flags) = &options.array else {
        return Ok(None);
    };
    let (array, id, place) = array::start(options, flags, data, &node_name())?;
    let watch = array.watch();
    let known = (Roster::fixed(&id), place, data.cluster_key_print()?);
    let (visitor, health) = (node.visitor.clone(), node.location_health.clone());
    let locations = Locations::start_in_array(array, known, node.net.clone(), visitor, health)?;
    Ok(Some((locations, watch)))
}
