//! The configuration of a node: complete, numbered, immutable.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Account, Carrier, Certificate, Customer, Device, Gateway, MediaServer, Number, Route, Server,
    ServerId, Settings, User,
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
    /// The node that this is for takes no new calls.
    #[serde(default)]
    pub draining: bool,
}

impl Snapshot {
    /// What the node of one server works with: its own limits where it has some, the certificates
    /// that it shows, and whether it is to take calls.
    #[must_use]
    pub fn planned_for(&self, server: ServerId) -> Self {
        let mut plan = self.clone();
        plan.server = Some(server);
        plan.certificates
            .retain(|one| one.is_shown_by(Some(server)));
        if let Some(server) = self.servers.iter().find(|s| s.id == server) {
            let limits = &mut plan.settings.limits;
            limits.cps = server.limits.cps.or(limits.cps);
            limits.channels = server.limits.channels.or(limits.channels);
            plan.draining = server.draining;
        }
        plan
    }
}
