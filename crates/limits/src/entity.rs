//! What can have limits.

use core::fmt;

/// One entity of the hierarchy. The identifier is opaque here; two kinds may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    /// What it is.
    pub kind: EntityKind,
    /// Which.
    pub id: u128,
}

impl EntityId {
    /// This server: there is one.
    pub const SERVER: Self = Self {
        kind: EntityKind::Server,
        id: 0,
    };

    /// An entity.
    #[must_use]
    pub const fn new(kind: EntityKind, id: u128) -> Self {
        Self { kind, id }
    }
}

/// The kinds of entities, from the widest to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    /// The servers that the node belongs together with.
    Cluster,
    /// The server the node runs on.
    Server,
    /// A tenant.
    Account,
    /// Who sends us calls.
    Customer,
    /// Whom we send calls to.
    Carrier,
    /// One address of a carrier.
    Gateway,
    /// A number of ours.
    Number,
    /// Who registers devices.
    User,
}

impl EntityKind {
    /// As people call it: `gateway`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Server => "server",
            Self::Account => "account",
            Self::Customer => "customer",
            Self::Carrier => "carrier",
            Self::Gateway => "gateway",
            Self::Number => "number",
            Self::User => "user",
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
