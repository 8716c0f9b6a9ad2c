//! The entities of a snapshot, and what each may use.

use limits::{EntityId, EntityKind, Limit};
use model::{
    AccountId, CarrierId, ClusterId, CustomerId, GatewayId, LimitSpec, NumberId, Snapshot, UserId,
};

/// The limits of all entities of a snapshot, for [`limits::Limits::configure_all`].
pub fn limits_of(snapshot: &Snapshot) -> impl Iterator<Item = (EntityId, Limit)> {
    let server = (EntityId::SERVER, limit(snapshot.settings.limits));
    let accounts = snapshot.accounts.iter();
    let users = snapshot.users.iter();
    let numbers = snapshot.numbers.iter();
    let customers = snapshot.customers.iter();
    let carriers = snapshot.carriers.iter();
    let gateways = snapshot.gateways.iter();
    let cluster = snapshot.cluster.iter();
    core::iter::once(server)
        .chain(cluster.map(|r| (cluster_of(r.id), limit(r.limits))))
        .chain(accounts.map(|r| (account(r.id), limit(r.limits))))
        .chain(users.map(|r| (user(r.id), limit(r.limits))))
        .chain(numbers.map(|r| (number(r.id), limit(r.limits))))
        .chain(customers.map(|r| (customer(r.id), limit(r.limits))))
        .chain(carriers.map(|r| (carrier(r.id), limit(r.limits))))
        .chain(gateways.map(|r| (gateway(r.id), limit(r.limits))))
}

/// The cluster that a node belongs to.
#[must_use]
pub const fn cluster_of(id: ClusterId) -> EntityId {
    EntityId::new(EntityKind::Cluster, id.bits())
}

pub(crate) const fn account(id: AccountId) -> EntityId {
    EntityId::new(EntityKind::Account, id.bits())
}

pub(crate) const fn user(id: UserId) -> EntityId {
    EntityId::new(EntityKind::User, id.bits())
}

pub(crate) const fn number(id: NumberId) -> EntityId {
    EntityId::new(EntityKind::Number, id.bits())
}

pub(crate) const fn customer(id: CustomerId) -> EntityId {
    EntityId::new(EntityKind::Customer, id.bits())
}

pub(crate) const fn carrier(id: CarrierId) -> EntityId {
    EntityId::new(EntityKind::Carrier, id.bits())
}

pub(crate) const fn gateway(id: GatewayId) -> EntityId {
    EntityId::new(EntityKind::Gateway, id.bits())
}

/// What may be used, as limits count it.
#[must_use]
pub const fn limit(spec: LimitSpec) -> Limit {
    Limit {
        cps: spec.cps,
        channels: spec.channels,
    }
}
