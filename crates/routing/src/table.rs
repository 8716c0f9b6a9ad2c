//! A configuration snapshot, compiled for decisions.

use core::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;
use limits::EntityId;
use model::{
    Account, AccountId, Carrier, CarrierId, Customer, CustomerAuth, CustomerId, Device, Gateway,
    GatewayId, Number, Route, Snapshot, User, UserId,
};

use crate::{
    Certified, Credentials, Dialled, GatewayMatch, Identity, Networks, Service, Source, Trie,
    entities,
};

/// All that decisions need of a snapshot, behind indexes. Immutable: a new snapshot makes a new
/// table.
#[derive(Clone, Debug)]
pub struct Table {
    revision: u64,
    /// The cluster that the node belongs to.
    pub(crate) cluster: Option<EntityId>,
    domain: Box<str>,
    accounts: Map<AccountId, Arc<Account>>,
    users: Map<UserId, Arc<User>>,
    user_names: Map<Box<str>, UserId>,
    /// Digest user names.
    logins: Map<Box<str>, Login>,
    /// By digits.
    numbers: Map<Box<str>, Arc<Number>>,
    customers: Map<CustomerId, Arc<Customer>>,
    customer_networks: Networks<CustomerId>,
    /// By names of certificates, in small letters.
    certified: Map<Box<str>, Certified>,
    carriers: Map<CarrierId, Lines>,
    gateways: Map<GatewayId, Arc<Gateway>>,
    /// Gateways that may call us and are given by IP address.
    gateway_addresses: Map<IpAddr, Vec<Arc<Gateway>>>,
    services: Map<Box<str>, Service>,
    shared_routes: Trie<Routes>,
    account_routes: Map<AccountId, Trie<Routes>>,
}

impl Table {
    /// Compiles a snapshot. Records that point to others which are not there are left out
    /// where they would be used.
    #[must_use]
    pub fn compile(snapshot: &Snapshot) -> Self {
        let users = by_key(snapshot.users.iter(), |user| user.id);
        let networks = snapshot.customers.iter().flat_map(networks_of);
        let mut gateway_addresses: Map<IpAddr, Vec<Arc<Gateway>>> = map();
        for gateway in snapshot.gateways.iter().filter(|g| g.enabled && g.inbound) {
            if let Ok(ip) = gateway.host.parse::<IpAddr>() {
                let at = gateway_addresses.entry(ip.to_canonical()).or_default();
                at.push(gateway.clone());
            }
        }
        let mut services = map();
        services.extend(SERVICES.map(|(number, service)| (number.into(), service)));
        let (shared_routes, account_routes) = compile_routes(&snapshot.routes);
        Self {
            revision: snapshot.revision,
            cluster: snapshot
                .cluster
                .as_ref()
                .map(|c| entities::cluster_of(c.id)),
            domain: snapshot.settings.domain.as_str().into(),
            accounts: by_key(snapshot.accounts.iter(), |account| account.id),
            user_names: snapshot.users.iter().fold(map(), |mut names, user| {
                names.insert(user.name.as_str().into(), user.id);
                names
            }),
            logins: compile_logins(snapshot, &users),
            users,
            numbers: by_key(snapshot.numbers.iter(), |number| {
                Dialled::parse(&number.number).as_str().into()
            }),
            customers: by_key(snapshot.customers.iter(), |customer| customer.id),
            customer_networks: Networks::build(networks),
            certified: compile_certified(snapshot),
            carriers: compile_carriers(snapshot),
            gateways: by_key(snapshot.gateways.iter(), |gateway| gateway.id),
            gateway_addresses,
            services,
            shared_routes,
            account_routes,
        }
    }

    /// The revision of the snapshot it was compiled from.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The domain of addresses of record, and the digest realm.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What checks a digest of this user name. `None` also if its owner, or the owner's tenant,
    /// is switched off: from outside that looks like a wrong password.
    #[must_use]
    pub fn credentials(&self, auth_name: &str) -> Option<Credentials<'_>> {
        let login = self.logins.get(auth_name)?;
        let mut own = None;
        let (identity, account, secret) = match login {
            Login::User(user) => {
                own = Some(user);
                (Identity::User(user.id), user.account, &user.secret)
            }
            Login::Device { device, account } => {
                (Identity::User(device.user), *account, &device.secret)
            }
            Login::Customer(customer) => {
                let CustomerAuth::Digest { secret, .. } = &customer.auth else {
                    return None;
                };
                (Identity::Customer(customer.id), customer.account, secret)
            }
        };
        let enabled = self.account(account).is_some_and(|a| a.enabled);
        enabled.then_some(Credentials {
            identity,
            user: own,
            secret,
        })
    }

    /// A tenant.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// A user.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// The user of this name.
    #[must_use]
    pub fn user_named(&self, name: &str) -> Option<&Arc<User>> {
        self.user(*self.user_names.get(name)?)
    }

    /// The number with these digits (no `+`).
    #[must_use]
    pub fn number(&self, digits: &str) -> Option<&Arc<Number>> {
        self.numbers.get(digits)
    }

    /// A customer.
    #[must_use]
    pub fn customer(&self, id: CustomerId) -> Option<&Arc<Customer>> {
        self.customers.get(&id)
    }

    /// A carrier.
    #[must_use]
    pub fn carrier(&self, id: CarrierId) -> Option<&Arc<Carrier>> {
        self.carriers.get(&id).map(|lines| &lines.carrier)
    }

    /// A gateway.
    #[must_use]
    pub fn gateway(&self, id: GatewayId) -> Option<&Arc<Gateway>> {
        self.gateways.get(&id)
    }

    /// Who is known by a certificate for this host name: a customer, or a gateway that may call us.
    /// `None` also if that, or its tenant, is switched off.
    #[must_use]
    pub fn certified(&self, host: &str) -> Option<Certified> {
        if self.certified.is_empty() {
            return None;
        }
        let found = *self.certified.get(certificate_name(host).as_str())?;
        let enabled = match found {
            Certified::Customer(id) => {
                let account = self.customer(id).and_then(|c| self.account(c.account));
                account.is_some_and(|account| account.enabled)
            }
            Certified::Gateway(_) | Certified::User(_) => true,
        };
        enabled.then_some(found)
    }

    /// The user that a certificate with this address of record of ours is for. `None` also if it,
    /// or its tenant, is switched off.
    #[must_use]
    pub fn certified_user(&self, name: &str) -> Option<Certified> {
        let user = self.user_named(name).filter(|user| user.enabled)?;
        let enabled = self.account(user.account).is_some_and(|a| a.enabled);
        enabled.then_some(Certified::User(user.id))
    }

    pub(crate) fn service(&self, number: &str) -> Option<Service> {
        self.services.get(number).copied()
    }

    /// The customer with the narrowest network around an address.
    pub(crate) fn customer_at(&self, address: IpAddr) -> Option<(IpNet, &Arc<Customer>)> {
        let (network, id) = self.customer_networks.longest(address)?;
        Some((network, self.customer(*id)?))
    }

    /// Whether a source is configured: in a customer's network, or the address of a gateway.
    #[must_use]
    pub fn knows(&self, source: SocketAddr) -> bool {
        self.customer_at(source.ip()).is_some() || self.gateway_at(source, None).is_some()
    }

    /// The gateway that a request comes from.
    pub(crate) fn gateway_of(&self, source: Source) -> Option<(&Arc<Gateway>, GatewayMatch)> {
        let line = source.line.and_then(|id| self.gateway(id));
        match line.filter(|gateway| gateway.enabled && gateway.inbound) {
            Some(gateway) if is_at_port(gateway, source.address.port()) => {
                Some((gateway, GatewayMatch::AddressAndPort))
            }
            Some(gateway) => Some((gateway, GatewayMatch::Address)),
            None => self.gateway_at(source.address, source.gateway),
        }
    }

    /// The gateway at an address; `resolved` is one that is known to be there by its name.
    fn gateway_at(
        &self,
        address: SocketAddr,
        resolved: Option<GatewayId>,
    ) -> Option<(&Arc<Gateway>, GatewayMatch)> {
        let ip = address.ip().to_canonical();
        let by_address = self.gateway_addresses.get(&ip).into_iter().flatten();
        let by_name = resolved.and_then(|id| self.gateway(id));
        let by_name = by_name.filter(|gateway| gateway.enabled && gateway.inbound);
        let mut all = by_name.into_iter().chain(by_address);
        let same_port = |gateway: &&Arc<Gateway>| is_at_port(gateway, address.port());
        match all.clone().find(same_port) {
            Some(gateway) => Some((gateway, GatewayMatch::AddressAndPort)),
            None => all.next().map(|gateway| (gateway, GatewayMatch::Address)),
        }
    }

    /// A carrier and those of its gateways that are switched on, by priority.
    pub(crate) fn lines(&self, id: CarrierId) -> Option<(&Arc<Carrier>, &[Arc<Gateway>])> {
        let lines = self.carriers.get(&id)?;
        Some((&lines.carrier, &lines.gateways))
    }

    /// The routes of the longest prefix that has routes for a tenant.
    pub(crate) fn routes(&self, account: AccountId, digits: &str) -> Option<Found<'_>> {
        let tenant = self.account_routes.get(&account);
        let own = tenant.and_then(|trie| trie.longest(digits));
        let shared = self.shared_routes.longest(digits);
        let length = own.map(|found| found.0).max(shared.map(|found| found.0))?;
        Some(Found {
            length,
            own: of_length(own, length),
            shared: of_length(shared, length),
        })
    }
}

fn is_at_port(gateway: &Gateway, port: u16) -> bool {
    gateway.port.unwrap_or(SIP_PORT) == port
}

/// Routes of one prefix.
pub(crate) struct Found<'t> {
    /// How many digits the prefix has.
    pub(crate) length: usize,
    /// Those of the tenant.
    pub(crate) own: &'t [Arc<Route>],
    /// Those for all.
    pub(crate) shared: &'t [Arc<Route>],
}

/// Whose digest user name it is.
#[derive(Clone, Debug)]
enum Login {
    User(Arc<User>),
    Device {
        device: Arc<Device>,
        account: AccountId,
    },
    Customer(Arc<Customer>),
}

/// A carrier with its gateways.
#[derive(Clone, Debug)]
struct Lines {
    carrier: Arc<Carrier>,
    /// Those that are switched on, by priority.
    gateways: Vec<Arc<Gateway>>,
}

/// Routes of one prefix, by priority and cost.
type Routes = Vec<Arc<Route>>;

/// Seeded, so that two nodes and two runs behave alike; keys are the operator's, not a caller's.
type Map<K, V> = HashMap<K, V, RandomState>;

fn map<K, V>() -> Map<K, V> {
    HashMap::with_hasher(RandomState::with_seeds(11, 12, 13, 14))
}

fn by_key<'r, K: Eq + Hash, R: 'r>(
    records: impl Iterator<Item = &'r Arc<R>>,
    key: impl Fn(&R) -> K,
) -> Map<K, Arc<R>> {
    let mut keyed = map();
    keyed.extend(records.map(|record| (key(record), record.clone())));
    keyed
}

fn networks_of(customer: &Arc<Customer>) -> Vec<(IpNet, CustomerId)> {
    let id = customer.id;
    match &customer.auth {
        CustomerAuth::Address { networks } => networks.iter().map(|net| (*net, id)).collect(),
        CustomerAuth::Digest { .. } | CustomerAuth::Certificate { .. } => Vec::new(),
    }
}

/// Customers before gateways; of two with the same name the first.
fn compile_certified(snapshot: &Snapshot) -> Map<Box<str>, Certified> {
    let mut certified = map();
    for customer in snapshot.customers.iter().filter(|c| c.enabled) {
        if let CustomerAuth::Certificate { names } = &customer.auth {
            for name in names {
                let known = certified.entry(certificate_name(name).into());
                known.or_insert(Certified::Customer(customer.id));
            }
        }
    }
    for gateway in snapshot.gateways.iter().filter(|g| g.enabled && g.inbound) {
        if gateway.host.parse::<IpAddr>().is_err() {
            let known = certified.entry(certificate_name(&gateway.host).into());
            known.or_insert(Certified::Gateway(gateway.id));
        }
    }
    certified
}

/// A host name in the one way that names are compared.
fn certificate_name(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn compile_logins(snapshot: &Snapshot, users: &Map<UserId, Arc<User>>) -> Map<Box<str>, Login> {
    let mut logins = map();
    for user in snapshot.users.iter().filter(|user| user.enabled) {
        logins.insert(user.name.as_str().into(), Login::User(user.clone()));
    }
    for device in snapshot.devices.iter().filter(|device| device.enabled) {
        if let Some(user) = users.get(&device.user).filter(|user| user.enabled) {
            let (device, account) = (device.clone(), user.account);
            let name = device.auth_name.as_str().into();
            logins.insert(name, Login::Device { device, account });
        }
    }
    for customer in snapshot.customers.iter().filter(|c| c.enabled) {
        if let CustomerAuth::Digest { auth_name, .. } = &customer.auth {
            let name = auth_name.as_str().into();
            logins.insert(name, Login::Customer(customer.clone()));
        }
    }
    logins
}

fn compile_carriers(snapshot: &Snapshot) -> Map<CarrierId, Lines> {
    let mut carriers = map();
    for carrier in &snapshot.carriers {
        let lines = Lines {
            carrier: carrier.clone(),
            gateways: Vec::new(),
        };
        carriers.insert(carrier.id, lines);
    }
    for gateway in snapshot.gateways.iter().filter(|gateway| gateway.enabled) {
        if let Some(lines) = carriers.get_mut(&gateway.carrier) {
            let at = |g: &Arc<Gateway>| g.priority <= gateway.priority;
            let at = lines.gateways.partition_point(at);
            lines.gateways.insert(at, gateway.clone());
        }
    }
    carriers
}

fn compile_routes(routes: &[Arc<Route>]) -> (Trie<Routes>, Map<AccountId, Trie<Routes>>) {
    let mut sorted: Vec<&Arc<Route>> = routes.iter().filter(|route| route.enabled).collect();
    sorted.sort_by(|a, b| {
        let key = |r: &Route| (r.account, r.priority, r.cost_per_minute_micros, r.id);
        (&a.prefix, key(a)).cmp(&(&b.prefix, key(b)))
    });
    let mut shared = Vec::new();
    let mut own: Map<AccountId, Vec<(String, Routes)>> = map();
    let same_prefix =
        |a: &&Arc<Route>, b: &&Arc<Route>| (&a.prefix, a.account) == (&b.prefix, b.account);
    for group in sorted.chunk_by(same_prefix) {
        let list = match group[0].account {
            Some(account) => own.entry(account).or_default(),
            None => &mut shared,
        };
        let routes = group.iter().map(|route| Arc::clone(route)).collect();
        list.push((group[0].prefix.clone(), routes));
    }
    let mut account_routes = map();
    account_routes.extend(own.into_iter().map(|(id, list)| (id, Trie::build(list))));
    (Trie::build(shared), account_routes)
}

fn of_length(found: Option<(usize, &Routes)>, length: usize) -> &[Arc<Route>] {
    match found {
        Some((n, routes)) if n == length => routes,
        _ => &[],
    }
}

/// Numbers of the platform's applications, the same for all tenants.
const SERVICES: [(&str, Service); 1] = [("600", Service::Echo)];

/// What a gateway without a port is matched by.
const SIP_PORT: u16 = 5060;
