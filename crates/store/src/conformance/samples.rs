//! Valid records to store, told apart by a number.

use clock::Time;
use model::{
    Account, AccountId, ApiToken, CallId, Carrier, CarrierId, Cdr, CdrOutcome, Certificate,
    CertificateFacts, CertificateId, CertificateKind, CertificateSource, Cluster, ClusterId,
    Customer, CustomerAuth, CustomerId, Degrees, Device, DeviceId, DigestSecret, EndedBy, Forking,
    Gateway, GatewayId, JoinToken, JoinTokenId, LimitSpec, MediaServer, MediaServerId, Number,
    NumberId, NumberTarget, Person, PersonId, Rewrite, Role, Route, RouteId, Server,
    ServerCertificate, ServerId, ServerRole, SignInBy, TokenId, User, UserId, Zone, ZoneId,
};

use crate::{Actor, BindingRecord};

/// Who changes things in a suite.
#[must_use]
pub fn actor() -> Actor {
    Actor {
        name: "suite".into(),
        at: Time::from_secs(1_700_000_000),
    }
}

/// An account.
#[must_use]
pub fn account(n: u64) -> Account {
    Account {
        id: AccountId::from_parts(n, 0),
        name: format!("account {n}"),
        enabled: true,
        music_on_hold: None,
        limits: LimitSpec {
            cps: Some(10),
            channels: None,
        },
    }
}

/// A user `user-N` of an account.
#[must_use]
pub fn user(n: u64, account: AccountId) -> User {
    User {
        id: UserId::from_parts(n, 0),
        account,
        name: format!("user-{n}"),
        display_name: String::new(),
        caller_number: Some("+4930123".into()),
        secret: secret(),
        enabled: true,
        contacts_max: 0,
        forking: Forking::Parallel,
        ring_timeout_s: 0,
        record: false,
        dtmf: model::DtmfMode::default(),
        limits: LimitSpec::default(),
    }
}

/// A device of a user, with a digest user name.
#[must_use]
pub fn device(n: u64, user: UserId, auth_name: &str) -> Device {
    Device {
        id: DeviceId::from_parts(n, 0),
        user,
        name: format!("device {n}"),
        auth_name: auth_name.into(),
        secret: secret(),
        enabled: true,
    }
}

/// A number of an account.
#[must_use]
pub fn number(n: u64, account: AccountId, number: &str, target: NumberTarget) -> Number {
    Number {
        id: NumberId::from_parts(n, 0),
        account,
        number: number.into(),
        target,
        enabled: true,
        limits: LimitSpec::default(),
    }
}

/// A customer known by digest.
#[must_use]
pub fn customer(n: u64, account: AccountId, auth_name: &str) -> Customer {
    Customer {
        id: CustomerId::from_parts(n, 0),
        account,
        name: format!("customer {n}"),
        auth: CustomerAuth::Digest {
            auth_name: auth_name.into(),
            secret: secret(),
        },
        host: None,
        rewrite: Rewrite::default(),
        media: None,
        media_zone: None,
        enabled: true,
        limits: LimitSpec::default(),
    }
}

/// A carrier of all accounts.
#[must_use]
pub fn carrier(n: u64) -> Carrier {
    Carrier {
        id: CarrierId::from_parts(n, 0),
        account: None,
        name: format!("carrier {n}"),
        rewrite: Rewrite::default(),
        media: None,
        media_zone: None,
        enabled: true,
        record: false,
        dtmf: model::DtmfMode::default(),
        limits: LimitSpec::default(),
    }
}

/// A gateway of a carrier.
#[must_use]
pub fn gateway(n: u64, carrier: CarrierId) -> Gateway {
    Gateway {
        id: GatewayId::from_parts(n, 0),
        carrier,
        name: format!("gateway {n}"),
        host: "gw.example.com".into(),
        port: Some(5060),
        transport: None,
        priority: 0,
        weight: 1,
        ping_interval_s: 30,
        no_answer_timeout_ms: 0,
        auth: None,
        registration: None,
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    }
}

/// A route to a carrier.
#[must_use]
pub fn route(n: u64, carrier: CarrierId) -> Route {
    Route {
        id: RouteId::from_parts(n, 0),
        account: None,
        prefix: "49".into(),
        carrier,
        priority: 0,
        cost_per_minute_micros: 10_000,
        rewrite: Rewrite::default(),
        media_zone: None,
        enabled: true,
    }
}

/// A media server.
#[must_use]
pub fn media_server(n: u64) -> MediaServer {
    MediaServer {
        id: MediaServerId::from_parts(n, 0),
        name: format!("media {n}"),
        control: format!("udp:192.0.2.1:{}", 2_000 + n),
        aliases: vec!["rtp.example.net".into()],
        zone: "London".into(),
        weight: 1,
        enabled: true,
        draining: false,
        public_address: None,
    }
}

/// Somebody who signs in, for one account.
#[must_use]
pub fn person(n: u64, account: AccountId) -> Person {
    Person {
        id: PersonId::from_parts(n, 0),
        name: format!("person-{n}"),
        display_name: String::new(),
        role: Role::Operator,
        account: Some(account),
        zones: Vec::new(),
        sign_in: SignInBy::Password,
        oidc: None,
        enabled: true,
        password_hash: Some("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".into()),
        second_factor: None,
    }
}

/// The zone `London`, in which servers and media servers of this suite stand.
#[must_use]
pub fn zone() -> Zone {
    Zone {
        id: ZoneId::from_parts(1, 0),
        name: "London".into(),
        latitude: Some(Degrees(51_507_000)),
        longitude: Some(Degrees(-128_000)),
    }
}

/// A cluster.
#[must_use]
pub fn cluster(n: u64) -> Cluster {
    Cluster {
        id: ClusterId::from_parts(n, 0),
        name: format!("cluster {n}"),
        limits: LimitSpec {
            cps: Some(10),
            channels: Some(100),
        },
    }
}

/// A machine that takes calls.
#[must_use]
pub fn server(n: u64) -> Server {
    Server {
        id: ServerId::from_parts(n, 0),
        name: format!("server {n}"),
        role: ServerRole::Switch,
        zone: "London".into(),
        cluster: String::new(),
        draining: false,
        limits: LimitSpec::default(),
        dispatching: None,
        certificate: Some(ServerCertificate {
            serial: "40aa".into(),
            enrolment: JoinTokenId::from_parts(n, 0),
            issued_us: 1,
            expires_us: 2,
        }),
        stopped: None,
        revoked_us: None,
    }
}

/// A certificate that a server shows.
#[must_use]
pub fn certificate(n: u64, server: ServerId) -> Certificate {
    Certificate {
        id: CertificateId::from_parts(n, 0),
        name: format!("certificate {n}"),
        kind: CertificateKind::Server,
        source: CertificateSource::Upload,
        applied: true,
        servers: vec![server],
        chain: "-----BEGIN CERTIFICATE-----".into(),
        secret: "v1:sealed".into(),
        facts: Some(CertificateFacts {
            names: vec!["sip.example.com".into()],
            subject: "CN=sip.example.com".into(),
            issuer: "CN=an authority".into(),
            serial: "40aa".into(),
            fingerprint: "00ff".into(),
            not_before_us: 1,
            not_after_us: 2,
        }),
        renewal: None,
    }
}

/// A token by which a machine joins as a server.
#[must_use]
pub fn join_token(n: u64, server: ServerId) -> JoinToken {
    JoinToken {
        id: JoinTokenId::from_parts(n, 0),
        name: String::new(),
        zone: String::new(),
        cluster: String::new(),
        server: Some(server),
        role: ServerRole::Switch,
        secret: "00ff".into(),
        created_us: 1,
        expires_us: 2_000_001,
    }
}

/// An API token.
#[must_use]
pub fn token(n: u64, role: Role) -> ApiToken {
    ApiToken {
        id: TokenId::from_parts(n, 0),
        name: format!("token {n}"),
        role,
        created_us: 1_000,
        last_used_us: None,
        expires_us: None,
        account: None,
        zones: Vec::new(),
        scopes: Vec::new(),
    }
}

/// The record of an answered call that ended at second N.
#[must_use]
pub fn cdr(n: u64) -> Cdr {
    Cdr {
        call: CallId::from_parts(n, n.into()),
        node: "node-1".into(),
        sequence: n,
        account: None,
        from_user: None,
        to_user: None,
        customer: None,
        number: None,
        carrier: None,
        gateway: None,
        caller: "alice".into(),
        called: "bob".into(),
        destination: "bob".into(),
        source: "udp:192.0.2.1:5060".into(),
        sip_call_id: format!("a-{n}@192.0.2.1"),
        sip_call_id_b: format!("b-{n}"),
        start_us: n * 1_000_000 - 500_000,
        ring_us: None,
        answer_us: Some(n * 1_000_000 - 100_000),
        end_us: n * 1_000_000,
        outcome: CdrOutcome::Answered,
        status: 200,
        reason: String::new(),
        ended_by: EndedBy::Caller,
        attempts: 1,
        media_a: None,
        media_b: None,
        recordings: Vec::new(),
    }
}

/// A binding of `user-N@example.com`.
#[must_use]
pub fn binding(n: u64, expires_us: u64, body: &[u8]) -> BindingRecord {
    BindingRecord {
        aor: format!("user-{n}@example.com"),
        key: n.to_be_bytes().to_vec(),
        expires_us,
        body: body.to_vec(),
    }
}

fn secret() -> DigestSecret {
    DigestSecret {
        md5: "0123456789abcdef".repeat(2),
        sha256: "0123456789abcdef".repeat(4),
    }
}
