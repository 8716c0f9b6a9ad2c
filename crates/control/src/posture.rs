//! Single points of failure: each part of a deployment that has no second, what is lost while it is
//! away, and what removes it.
//!
//! A part is judged by what this server can see. Where it cannot see enough, as behind a database's
//! address, it says so: unknown is never called redundant.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::{MediaServerHealth, MediaServerState, Snapshot};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a deployment consists of, as one of its servers sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Where the members of the cluster reach each other, this one included; `None` outside one.
    pub members: Option<Vec<IpAddr>>,
    /// Whether an address that moves between the members leads to this server.
    pub virtual_address: bool,
    /// How many addresses of a database the records are asked at; 0: a file of this server.
    pub database_hosts: usize,
    /// How many Sentinels watch over the live store; 0: none does.
    pub sentinels: usize,
}

/// Each part of the deployment and whether it has a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Posture {
    /// How many parts have no second.
    pub single: usize,
    /// The parts: those without a second first.
    pub parts: Vec<PartView>,
}

/// A part of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    /// Which.
    pub part: Part,
    /// Which one of those: a route's prefix; empty where there is but one.
    pub name: String,
    /// Whether it has a second.
    pub standing: Standing,
    /// What is there.
    pub found: String,
    /// What is lost while it is away.
    pub lost: String,
    /// What gives it a second; empty where it has one.
    pub remedy: String,
}

/// What a deployment consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The servers that switch calls.
    Servers,
    /// The machines they run on.
    Machines,
    /// The address that phones and carriers send to.
    WayIn,
    /// The store that servers share limits, calls and registrations by.
    LiveStore,
    /// Where users, routes and CDRs are kept.
    Records,
    /// What relays media.
    Media,
    /// What takes the calls of a route.
    Route,
}

/// Whether a part has a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It has none.
    Single,
    /// This server cannot see it.
    Unknown,
    /// It has.
    Redundant,
}

impl Posture {
    /// Of a deployment with these records and media servers.
    #[must_use]
    pub fn of(there: &Deployment, records: &Snapshot, media: &[MediaServerHealth]) -> Self {
        let mut parts = vec![servers(there), records_of(there), media_of(records, media)];
        parts.extend(machines(there));
        parts.extend(way_in(there));
        parts.extend(live_store(there));
        parts.extend(routes(records));
        parts.sort_by(|a, b| (a.standing, a.part, &a.name).cmp(&(b.standing, b.part, &b.name)));
        let is_single = |part: &&PartView| part.standing == Standing::Single;
        Self {
            single: parts.iter().filter(is_single).count(),
            parts,
        }
    }
}

impl PartView {
    fn new(part: Part, found: String, lost: &str) -> Self {
        Self {
            part,
            name: String::new(),
            standing: Standing::Redundant,
            found,
            lost: lost.to_owned(),
            remedy: String::new(),
        }
    }

    fn single(self, remedy: &str) -> Self {
        self.judged(Standing::Single, remedy)
    }

    fn unknown(self, remedy: &str) -> Self {
        self.judged(Standing::Unknown, remedy)
    }

    fn judged(self, standing: Standing, remedy: &str) -> Self {
        Self {
            standing,
            remedy: remedy.to_owned(),
            ..self
        }
    }
}

fn servers(there: &Deployment) -> PartView {
    let lost = "all calls and registrations, until it is back";
    match there.members.as_deref() {
        None => PartView::new(Part::Servers, "one server, in no cluster".into(), lost)
            .single("Start a second server with the same --store and --live."),
        Some([] | [_]) => PartView::new(Part::Servers, "a cluster of one server".into(), lost)
            .single("Start a second server with the same --store and --live."),
        Some(members) => PartView::new(
            Part::Servers,
            format!("{} servers in one cluster", members.len()),
            "nothing that is answered: the others go on with its calls",
        ),
    }
}

/// `None` where there is but one server.
fn machines(there: &Deployment) -> Option<PartView> {
    let members = there.members.as_deref().filter(|m| m.len() > 1)?;
    let machines = members.iter().collect::<BTreeSet<_>>().len();
    if machines > 1 {
        let found = format!("{} servers at {machines} addresses", members.len());
        let lost = "the servers on it: the others go on with their calls";
        return Some(PartView::new(Part::Machines, found, lost));
    }
    let found = format!("all {} servers at {}", members.len(), members[0]);
    Some(
        PartView::new(Part::Machines, found, "all servers at once")
            .single("Run members of the cluster on other machines."),
    )
}

/// `None` where there is but one server, which is its own way in.
fn way_in(there: &Deployment) -> Option<PartView> {
    let members = there.members.as_deref().filter(|m| m.len() > 1)?;
    if there.virtual_address {
        let found = "an address that moves to a server that lives".to_owned();
        let lost = "a few seconds of new calls, while it moves";
        return Some(PartView::new(Part::WayIn, found, lost));
    }
    let found = format!("each of {} servers at its own address", members.len());
    let lost = "what phones and carriers send to a server that is away";
    Some(PartView::new(Part::WayIn, found, lost).unknown(
        "Let them send to two dispatchers, to a virtual address, or to a name with SRV records of \
         all servers. What stands before a server cannot be seen from it.",
    ))
}

/// `None` outside a cluster.
fn live_store(there: &Deployment) -> Option<PartView> {
    there.members.as_ref()?;
    let lost = "the exchange between servers: each goes on with the shares it has, and calls of a \
                server that dies meanwhile are lost";
    let part = |found: String| PartView::new(Part::LiveStore, found, lost);
    Some(match there.sentinels {
        0 => part("one Redis, watched by no Sentinel".into()).single(
            "Give it a replica and three Sentinels on three machines, and name them: \
             --live redis+sentinel://HOST:PORT,HOST:PORT,HOST:PORT/NAME.",
        ),
        few @ 1..3 => part(format!("Redis watched by {few} Sentinels"))
            .single("Name three Sentinels on three machines: fewer cannot agree when one is away."),
        many => part(format!("Redis watched by {many} Sentinels")).unknown(
            "See that it has a replica on another machine, and the Sentinels three machines: \
             redis-cli -p 26379 sentinel replicas NAME. That cannot be seen from here.",
        ),
    })
}

fn records_of(there: &Deployment) -> PartView {
    match there.database_hosts {
        0 => PartView::new(
            Part::Records,
            "a file on this server".into(),
            "the panel and all changes; calls go on, and their CDRs wait in the journal",
        )
        .single("Move them to PostgreSQL: tandem store migrate. Until then, copy the file."),
        1 => PartView::new(
            Part::Records,
            "PostgreSQL at one address".into(),
            "changes; calls go on with the records as they were, and CDRs wait in the journal",
        )
        .unknown(
            "Let the address lead to a database with a standby, or name all its hosts in --store. \
             What stands behind it cannot be seen from here.",
        ),
        hosts => PartView::new(
            Part::Records,
            format!("PostgreSQL at {hosts} addresses"),
            "changes, until another host is the primary",
        ),
    }
}

fn media_of(records: &Snapshot, servers: &[MediaServerHealth]) -> PartView {
    let remedy = "Add a media server on another machine: tandem media, or an rtpengine.";
    let up: Vec<_> = servers
        .iter()
        .filter(|server| server.state == MediaServerState::Up)
        .collect();
    let lost = "nothing for long: its calls move to another";
    match (up.as_slice(), servers.len()) {
        (_, 0) => PartView::new(
            Part::Media,
            "each server relays media itself".into(),
            "the sound of the calls that go through it",
        )
        .single("Add two media servers on machines of their own: tandem media, or rtpengines."),
        ([], all) => PartView::new(Part::Media, format!("none of {all} answers"), "all sound")
            .single("See what is in their way: tandem media-server list."),
        ([one], 1) => PartView::new(
            Part::Media,
            format!("one media server, {}", one.name),
            "the sound of all calls",
        )
        .single(remedy),
        ([one], all) => PartView::new(
            Part::Media,
            format!("of {all} media servers only {} takes calls", one.name),
            "the sound of all calls",
        )
        .single("See what is in the way of the others: tandem media-server list."),
        (several, _) if let Some(host) = only_host(records, several) => PartView::new(
            Part::Media,
            format!("all {} media servers at {host}", several.len()),
            "the sound of all calls",
        )
        .single(remedy),
        (several, all) => PartView::new(
            Part::Media,
            format!("{} of {all} media servers take calls", several.len()),
            lost,
        ),
    }
}

/// Where all of several media servers are, if that is one place.
fn only_host<'a>(records: &'a Snapshot, servers: &[&MediaServerHealth]) -> Option<&'a str> {
    let hosts = servers.iter().map(|server| {
        let mut known = records.media_servers.iter();
        let known = known.find(|known| known.id == server.media_server)?;
        Some(known.control_host_port()?.rsplit_once(':')?.0)
    });
    let hosts: BTreeSet<Option<&str>> = hosts.collect();
    match hosts.len() {
        1 => hosts.into_iter().next().flatten(),
        _ => None,
    }
}

/// Each prefix that routes send to carriers, and how many gateways can take it.
fn routes(records: &Snapshot) -> Vec<PartView> {
    let mut groups = BTreeSet::new();
    for route in records.routes.iter().filter(|route| route.enabled) {
        groups.insert((route.account, route.prefix.as_str()));
    }
    let parts = groups.into_iter().map(|(account, prefix)| {
        let carriers: BTreeSet<_> = records
            .routes
            .iter()
            .filter(|r| r.enabled && r.account == account && r.prefix == prefix)
            .map(|r| r.carrier)
            .filter(|id| records.carriers.iter().any(|c| c.id == *id && c.enabled))
            .collect();
        let gateways = records
            .gateways
            .iter()
            .filter(|g| g.enabled && carriers.contains(&g.carrier));
        // Two ports of one host go down together.
        let hosts: BTreeSet<_> = gateways.map(|g| g.host.as_str()).collect();
        let owner = account.and_then(|id| records.accounts.iter().find(|a| a.id == id));
        let numbers = match prefix {
            "" => "all numbers".to_owned(),
            prefix => format!("numbers that begin with {prefix}"),
        };
        let name = match owner {
            Some(owner) => format!("{numbers}, of {}", owner.name),
            None => numbers,
        };
        let part = match hosts.len() {
            0 => PartView::new(
                Part::Route,
                "no gateway that is in use".into(),
                "they cannot be called now",
            )
            .single("Add gateways to its carriers, or switch them on."),
            1 => PartView::new(Part::Route, "one gateway".into(), "calls to them").single(
                "Add a second gateway at another address to its carrier, or a second route with \
                 another carrier.",
            ),
            several => PartView::new(
                Part::Route,
                format!("{several} gateways of {} carriers", carriers.len()),
                "nothing: calls go to the next gateway",
            ),
        };
        PartView { name, ..part }
    });
    parts.collect()
}

#[cfg(test)]
mod tests;
