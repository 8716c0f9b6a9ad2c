//! The kinds of records and what the store must know of each: its identifier, which of its
//! values are unique, and which other records it names.

use core::fmt;

use model::{
    Account, AccountId, Carrier, CarrierId, Certificate, CertificateId, Cluster, ClusterId,
    Customer, CustomerAuth, CustomerId, Device, DeviceId, FieldError, Gateway, GatewayId,
    JoinToken, JoinTokenId, MediaServer, MediaServerId, Number, NumberId, NumberTarget, Person,
    PersonId, Route, RouteId, Server, ServerId, User, UserId, Validate, Zone, ZoneId,
};

use crate::StoreError;

/// A kind of record, typed.
pub trait Resource: Validate + Clone + Into<Record> + TryFrom<Record> {
    /// Its identifier.
    type Id: Copy + fmt::Display + core::str::FromStr;
    /// Which kind it is.
    const KIND: Kind;

    /// Which record it is.
    fn id(&self) -> Self::Id;

    /// Values that no other record may have in the same space.
    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        Vec::new()
    }

    /// The records it names.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// The records it names by a unique value of theirs, which is changed here when it is changed there.
    fn named(&self) -> Vec<UniqueValue<'_>> {
        Vec::new()
    }
}

/// A value that is unique within its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqueValue<'a> {
    /// What it is compared with: values of one space, over all kinds.
    pub space: &'static str,
    /// The field it stands in, as in JSON.
    pub field: &'static str,
    /// The value, in the form in which it is compared.
    pub value: &'a str,
}

/// A record named by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The field it stands in, as in JSON.
    pub field: &'static str,
    /// The identifier in it.
    pub id: String,
}

macro_rules! kinds {
    ($($kind:ident $id:ident $text:literal),* $(,)?) => {
        /// A kind of record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("See [`model::", stringify!($kind), "`].")] $kind,)*
            /// See [`model::Settings`].
            Settings,
            /// See [`model::ApiToken`].
            Token,
        }

        impl Kind {
            /// Those that are kept alike, in an order in which each names only kinds before it.
            pub const RECORDS: [Self; RECORD_KINDS] = [$(Self::$kind),*];

            /// Its name in the API, the audit log and the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $text,)*
                    Self::Settings => "settings",
                    Self::Token => "token",
                }
            }
        }

        /// A record of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Record {
            $(#[doc = concat!("See [`model::", stringify!($kind), "`].")] $kind($kind),)*
        }

        impl Record {
            /// Which kind it is.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            /// Its identifier as text.
            #[must_use]
            pub fn id(&self) -> String {
                match self { $(Self::$kind(r) => Resource::id(r).to_string(),)* }
            }

            /// What is wrong with it in itself.
            #[must_use]
            pub fn validate(&self) -> Vec<FieldError> {
                match self { $(Self::$kind(r) => r.validate(),)* }
            }

            /// See [`Resource::unique_values`].
            #[must_use]
            pub fn unique_values(&self) -> Vec<UniqueValue<'_>> {
                match self { $(Self::$kind(r) => r.unique_values(),)* }
            }

            /// See [`Resource::references`].
            #[must_use]
            pub fn references(&self) -> Vec<Reference> {
                match self { $(Self::$kind(r) => r.references(),)* }
            }

            /// See [`Resource::named`].
            #[must_use]
            pub fn named(&self) -> Vec<UniqueValue<'_>> {
                match self { $(Self::$kind(r) => r.named(),)* }
            }

            /// Its body as JSON.
            pub fn to_json(&self) -> Result<serde_json::Value, StoreError> {
                Ok(match self { $(Self::$kind(r) => serde_json::to_value(r)?,)* })
            }

            /// From the body that [`Record::to_json`] made. Errors: `Corrupt`; `NotFound` for
            /// kinds that are no records.
            pub fn from_json(kind: Kind, body: &str) -> Result<Self, StoreError> {
                Ok(match kind {
                    $(Kind::$kind => Self::$kind(serde_json::from_str(body)?),)*
                    Kind::Settings | Kind::Token => {
                        return Err(StoreError::NotFound { kind, id: String::new() });
                    }
                })
            }
        }

        $(
            impl From<$kind> for Record {
                fn from(record: $kind) -> Self {
                    Self::$kind(record)
                }
            }

            impl TryFrom<Record> for $kind {
                type Error = Record;
                fn try_from(record: Record) -> Result<Self, Record> {
                    match record {
                        Record::$kind(r) => Ok(r),
                        other => Err(other),
                    }
                }
            }
        )*
    };
}

kinds! {
    Zone ZoneId "zone",
    Cluster ClusterId "cluster",
    Account AccountId "account",
    User UserId "user",
    Device DeviceId "device",
    Customer CustomerId "customer",
    Number NumberId "number",
    Carrier CarrierId "carrier",
    Gateway GatewayId "gateway",
    Route RouteId "route",
    MediaServer MediaServerId "media-server",
    Person PersonId "person",
    Server ServerId "server",
    JoinToken JoinTokenId "join-token",
    Certificate CertificateId "certificate",
}

/// How many kinds [`Record`] has.
const RECORD_KINDS: usize = 15;

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Resource for Account {
    type Id = AccountId;
    const KIND: Kind = Kind::Account;

    fn id(&self) -> AccountId {
        self.id
    }
}

impl Resource for User {
    type Id = UserId;
    const KIND: Kind = Kind::User;

    fn id(&self) -> UserId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        vec![UniqueValue {
            space: AUTH_NAMES,
            field: "name",
            value: &self.name,
        }]
    }

    fn references(&self) -> Vec<Reference> {
        vec![reference("account", self.account)]
    }
}

impl Resource for Device {
    type Id = DeviceId;
    const KIND: Kind = Kind::Device;

    fn id(&self) -> DeviceId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        vec![UniqueValue {
            space: AUTH_NAMES,
            field: "auth_name",
            value: &self.auth_name,
        }]
    }

    fn references(&self) -> Vec<Reference> {
        vec![reference("user", self.user)]
    }
}

impl Resource for Number {
    type Id = NumberId;
    const KIND: Kind = Kind::Number;

    fn id(&self) -> NumberId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        let digits = self.number.strip_prefix('+').unwrap_or(&self.number);
        vec![UniqueValue {
            space: NUMBERS,
            field: "number",
            value: digits,
        }]
    }

    fn references(&self) -> Vec<Reference> {
        let mut named = vec![reference("account", self.account)];
        match self.target {
            NumberTarget::User { user } => named.push(reference("target.user", user)),
            NumberTarget::Customer { customer } => {
                named.push(reference("target.customer", customer));
            }
            NumberTarget::Echo => {}
        }
        named
    }
}

impl Resource for Customer {
    type Id = CustomerId;
    const KIND: Kind = Kind::Customer;

    fn id(&self) -> CustomerId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        match &self.auth {
            CustomerAuth::Address { .. } => Vec::new(),
            CustomerAuth::Certificate { names } => names
                .iter()
                .map(|name| UniqueValue {
                    space: CERTIFICATE_NAMES,
                    field: "auth.names",
                    value: name,
                })
                .collect(),
            CustomerAuth::Digest { auth_name, .. } => {
                vec![UniqueValue {
                    space: AUTH_NAMES,
                    field: "auth.auth_name",
                    value: auth_name,
                }]
            }
        }
    }

    fn references(&self) -> Vec<Reference> {
        vec![reference("account", self.account)]
    }

    fn named(&self) -> Vec<UniqueValue<'_>> {
        let named = self.media_zone.as_deref();
        named
            .and_then(|name| zone("media_zone", name))
            .into_iter()
            .collect()
    }
}

impl Resource for Carrier {
    type Id = CarrierId;
    const KIND: Kind = Kind::Carrier;

    fn id(&self) -> CarrierId {
        self.id
    }

    fn references(&self) -> Vec<Reference> {
        self.account
            .map(|account| reference("account", account))
            .into_iter()
            .collect()
    }

    fn named(&self) -> Vec<UniqueValue<'_>> {
        let named = self.media_zone.as_deref();
        named
            .and_then(|name| zone("media_zone", name))
            .into_iter()
            .collect()
    }
}

impl Resource for Gateway {
    type Id = GatewayId;
    const KIND: Kind = Kind::Gateway;

    fn id(&self) -> GatewayId {
        self.id
    }

    fn references(&self) -> Vec<Reference> {
        vec![reference("carrier", self.carrier)]
    }
}

impl Resource for Route {
    type Id = RouteId;
    const KIND: Kind = Kind::Route;

    fn id(&self) -> RouteId {
        self.id
    }

    fn references(&self) -> Vec<Reference> {
        let mut named = vec![reference("carrier", self.carrier)];
        named.extend(self.account.map(|account| reference("account", account)));
        named
    }

    fn named(&self) -> Vec<UniqueValue<'_>> {
        let named = self.media_zone.as_deref();
        named
            .and_then(|name| zone("media_zone", name))
            .into_iter()
            .collect()
    }
}

impl Resource for MediaServer {
    type Id = MediaServerId;
    const KIND: Kind = Kind::MediaServer;

    fn id(&self) -> MediaServerId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        vec![UniqueValue {
            space: MEDIA_CONTROLS,
            field: "control",
            value: &self.control,
        }]
    }

    fn named(&self) -> Vec<UniqueValue<'_>> {
        zone("zone", &self.zone).into_iter().collect()
    }
}

impl Resource for Person {
    type Id = PersonId;
    const KIND: Kind = Kind::Person;

    fn id(&self) -> PersonId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        vec![UniqueValue {
            space: PEOPLE,
            field: "name",
            value: &self.name,
        }]
    }

    fn references(&self) -> Vec<Reference> {
        let account = self.account.map(|account| reference("account", account));
        let zones = self.zones.iter().map(|zone| reference("zones", *zone));
        account.into_iter().chain(zones).collect()
    }
}

impl Resource for Server {
    type Id = ServerId;
    const KIND: Kind = Kind::Server;

    fn id(&self) -> ServerId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        vec![UniqueValue {
            space: SERVER_NAMES,
            field: "name",
            value: &self.name,
        }]
    }

    fn named(&self) -> Vec<UniqueValue<'_>> {
        [zone("zone", &self.zone), cluster(&self.cluster)]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Resource for JoinToken {
    type Id = JoinTokenId;
    const KIND: Kind = Kind::JoinToken;

    fn id(&self) -> JoinTokenId {
        self.id
    }

    fn references(&self) -> Vec<Reference> {
        self.server
            .map(|server| reference("server", server))
            .into_iter()
            .collect()
    }

    fn named(&self) -> Vec<UniqueValue<'_>> {
        [zone("zone", &self.zone), cluster(&self.cluster)]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Resource for Zone {
    type Id = ZoneId;
    const KIND: Kind = Kind::Zone;

    fn id(&self) -> ZoneId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        zone("name", &self.name).into_iter().collect()
    }
}

impl Resource for Cluster {
    type Id = ClusterId;
    const KIND: Kind = Kind::Cluster;

    fn id(&self) -> ClusterId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        vec![UniqueValue {
            space: CLUSTER_NAMES,
            field: "name",
            value: &self.name,
        }]
    }
}

/// The name of a zone; an empty one names none.
fn zone<'a>(field: &'static str, name: &'a str) -> Option<UniqueValue<'a>> {
    (!name.is_empty()).then_some(UniqueValue {
        space: ZONE_NAMES,
        field,
        value: name,
    })
}

/// The name of a cluster; an empty one names none.
fn cluster(name: &str) -> Option<UniqueValue<'_>> {
    (!name.is_empty()).then_some(UniqueValue {
        space: CLUSTER_NAMES,
        field: "cluster",
        value: name,
    })
}

impl Resource for Certificate {
    type Id = CertificateId;
    const KIND: Kind = Kind::Certificate;

    fn id(&self) -> CertificateId {
        self.id
    }

    fn unique_values(&self) -> Vec<UniqueValue<'_>> {
        vec![UniqueValue {
            space: CERTIFICATES,
            field: "name",
            value: &self.name,
        }]
    }

    fn references(&self) -> Vec<Reference> {
        let servers = self.servers.iter();
        servers.map(|server| reference("servers", server)).collect()
    }
}

fn reference(field: &'static str, id: impl fmt::Display) -> Reference {
    Reference {
        field,
        id: id.to_string(),
    }
}

/// User names and digest user names: a user's name is both.
/// Names of certificates that customers are known by.
const CERTIFICATE_NAMES: &str = "certificate-name";
const AUTH_NAMES: &str = "auth-name";
/// What kept certificates are called.
const CERTIFICATES: &str = "certificate";
/// What zones are called.
const ZONE_NAMES: &str = "zone-name";
/// What clusters are called.
const CLUSTER_NAMES: &str = "cluster-name";
/// What servers are called.
const SERVER_NAMES: &str = "server-name";
/// Where media servers are controlled.
const MEDIA_CONTROLS: &str = "media-control";
/// What people sign in with.
const PEOPLE: &str = "person";
/// Numbers, compared without `+`.
const NUMBERS: &str = "number";
