//! The configuration of a node: complete, numbered, immutable.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Account, Carrier, Customer, Device, Gateway, MediaServer, Number, Route, Settings, User,
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
}
