//! The configuration of a node: complete, numbered, immutable.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Account, Carrier, Certificate, Cluster, ClusterId, Customer, Device, Gateway, LimitSpec,
    MediaServer, Number, Route, Server, ServerId, ServerRole, Settings, TraceSettings, User, Zone,
};

/// Everything a node needs to take calls. A node refuses one with a lower revision than it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Grows with every change.
    pub revision: u64,
    /// What applies where no record says otherwise.
    pub settings: Settings,
    /// Tenants.
    pub accounts: Vec<Arc<Account>>,
    /// Users.
    pub users: Vec<Arc<User>>,
    /// Devices with secrets of their own.
    pub devices: Vec<Arc<Device>>,
    /// Numbers.
    pub numbers: Vec<Arc<Number>>,
    /// Customers.
    pub customers: Vec<Arc<Customer>>,
    /// Carriers.
    pub carriers: Vec<Arc<Carrier>>,
    /// Gateways of all carriers.
    pub gateways: Vec<Arc<Gateway>>,
    /// Routes.
    pub routes: Vec<Arc<Route>>,
    /// Media servers; with none, the node relays media itself.
    #[serde(default)]
    pub media_servers: Vec<Arc<MediaServer>>,
    /// Machines that take calls.
    #[serde(default)]
    pub servers: Vec<Arc<Server>>,
    /// Certificates, their keys sealed; in what one node is given, those that it shows.
    #[serde(default)]
    pub certificates: Vec<Arc<Certificate>>,
    /// The server that this is for; `None`: it is for whoever has the records themselves.
    #[serde(default)]
    pub server: Option<ServerId>,
    /// Where servers stand.
    #[serde(default)]
    pub zones: Vec<Arc<Zone>>,
    /// Which servers belong together.
    #[serde(default)]
    pub clusters: Vec<Arc<Cluster>>,
    /// The cluster of the node that this is for; `None` where it belongs to none.
    #[serde(default)]
    pub cluster: Option<ClusterPlan>,
    /// The node that this is for takes no new calls.
    #[serde(default)]
    pub draining: bool,
    /// The SIP of the node that this is for is closed, and it registers nowhere.
    #[serde(default)]
    pub stopped: bool,
}

/// What a member of a cluster has to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// Which it is.
    pub id: ClusterId,
    /// What people call it.
    pub name: String,
    /// What all members together may carry.
    pub limits: LimitSpec,
    /// How many members there are.
    pub members: u32,
    /// Which of them this is, from 0 on.
    pub place: u32,
}

impl ClusterPlan {
    /// What this member may carry where members cannot ask each other: equal parts, which together are
    /// the whole and no more.
    #[must_use]
    pub fn part(&self) -> LimitSpec {
        let part = |whole: u32| {
            let members = self.members.max(1);
            whole / members + u32::from(self.place < whole % members)
        };
        LimitSpec {
            cps: self.limits.cps.map(part),
            channels: self.limits.channels.map(part),
        }
    }
}

impl Snapshot {
    /// What the node of one server works with: its own limits where it has some, the certificates
    /// that it shows, and whether it is to take calls. One that takes none gets its own record, what is
    /// kept of SIP messages, and nothing else: such machines often stand where strangers reach them, and
    /// need nobody's secrets.
    #[must_use]
    pub fn planned_for(&self, server: ServerId) -> Self {
        let own = self.servers.iter().find(|one| one.id == server);
        if let Some(own) = own.filter(|own| own.role != ServerRole::Switch) {
            return Self {
                revision: self.revision,
                server: Some(server),
                draining: own.draining,
                servers: vec![Arc::clone(own)],
                settings: Settings {
                    trace: TraceSettings {
                        hep_listen: None,
                        hep_sources: Vec::new(),
                        ..self.settings.trace.clone()
                    },
                    ..Settings::default()
                },
                ..Self::default()
            };
        }
        let mut plan = self.clone();
        plan.server = Some(server);
        plan.certificates
            .retain(|one| one.is_shown_by(Some(server)));
        if let Some(server) = own {
            let limits = &mut plan.settings.limits;
            limits.cps = server.limits.cps.or(limits.cps);
            limits.channels = server.limits.channels.or(limits.channels);
            plan.draining = server.draining;
            plan.stopped = server.stopped.is_some();
            plan.cluster = self.cluster_of(server);
        }
        plan
    }

    fn cluster_of(&self, server: &Server) -> Option<ClusterPlan> {
        let mut all = self.clusters.iter();
        let cluster = all.find(|cluster| cluster.name == server.cluster)?;
        // One that nobody has joined as yet has its part, too: it may come at any moment.
        let members = self.servers.iter();
        let members = members
            .filter(|member| member.cluster == cluster.name && member.role == ServerRole::Switch);
        let place = members
            .clone()
            .filter(|member| member.id < server.id)
            .count();
        Some(ClusterPlan {
            id: cluster.id,
            name: cluster.name.clone(),
            limits: cluster.limits,
            members: members.count() as u32,
            place: place as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(n: u64, cluster: &str) -> Arc<Server> {
        let id = ServerId::from_parts(n, 0);
        let json = format!(r#"{{"id":"{id}","name":"{n}","cluster":"{cluster}"}}"#);
        Arc::new(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_machine_that_takes_no_calls_is_given_nobodys_secrets_and_no_part_of_a_limit() {
        let edge = |n: u64, role: &str| {
            let id = ServerId::from_parts(n, 0);
            let json = format!(
                r#"{{"id":"{id}","name":"{n}","cluster":"north","role":"{role}","draining":true}}"#
            );
            Arc::new(serde_json::from_str::<Server>(&json).unwrap())
        };
        let cluster = Cluster {
            id: ClusterId::from_parts(1, 0),
            name: "north".into(),
            limits: LimitSpec {
                cps: Some(10),
                channels: None,
            },
        };
        let snapshot = Snapshot {
            revision: 7,
            servers: vec![server(1, "north"), edge(2, "dispatcher"), edge(3, "media")],
            clusters: vec![Arc::new(cluster)],
            settings: Settings {
                trace: TraceSettings {
                    days: 3,
                    hep_listen: Some("192.0.2.1:9060".parse().unwrap()),
                    ..TraceSettings::default()
                },
                hep_collector: Some("192.0.2.2:9060".parse().unwrap()),
                ..Settings::default()
            },
            ..Snapshot::default()
        };
        for n in [2, 3] {
            let id = ServerId::from_parts(n, 0);
            let plan = snapshot.planned_for(id);
            let own = vec![Arc::clone(&snapshot.servers[n as usize - 1])];
            let wanted = Snapshot {
                revision: 7,
                server: Some(id),
                draining: true,
                servers: own,
                settings: Settings {
                    trace: TraceSettings {
                        days: 3,
                        ..TraceSettings::default()
                    },
                    ..Settings::default()
                },
                ..Snapshot::default()
            };
            assert_eq!(plan, wanted);
        }
        let plan = snapshot.planned_for(ServerId::from_parts(1, 0));
        let part = plan.cluster.map(|cluster| cluster.part().cps);
        assert_eq!(part, Some(Some(10)), "the others take no calls");
    }

    #[test]
    fn equal_parts_are_the_whole_of_a_clusters_limits_and_no_more() {
        let limits = LimitSpec {
            cps: Some(10),
            channels: Some(2),
        };
        let cluster = Cluster {
            id: ClusterId::from_parts(1, 0),
            name: "north".into(),
            limits,
        };
        let snapshot = Snapshot {
            servers: vec![
                server(3, "north"),
                server(1, "north"),
                server(2, ""),
                server(4, "north"),
            ],
            clusters: vec![Arc::new(cluster)],
            ..Snapshot::default()
        };
        let part = |n| {
            let plan = snapshot.planned_for(ServerId::from_parts(n, 0));
            plan.cluster.map(|cluster| cluster.part())
        };
        assert_eq!(part(2), None);
        let parts = [1, 3, 4].map(|n| part(n).unwrap());
        let sum = |of: fn(&LimitSpec) -> Option<u32>| -> u32 { parts.iter().filter_map(of).sum() };
        assert_eq!((sum(|p| p.cps), sum(|p| p.channels)), (10, 2));
        assert_eq!(parts.map(|part| part.cps.unwrap()), [4, 3, 3]);
    }
}
