//! The configuration of the simulated platform: users, a customer, two carriers, and limits that
//! are sometimes tight.

use std::net::SocketAddr;
use std::sync::Arc;

use model::{
    Account, AccountId, Carrier, CarrierId, Customer, CustomerAuth, CustomerId, DigestSecret,
    Forking, Gateway, GatewayId, LimitSpec, Number, NumberId, NumberTarget, OutboundAuth, Rewrite,
    Route, RouteId, Settings, Snapshot, User, UserId,
};
use sip::digest::{Algorithm, ha1};

use crate::dice::Dice;

/// The domain, and realm.
pub(crate) const DOMAIN: &str = "tandem.test";
/// Every phone's password.
pub(crate) const PASSWORD: &str = "correct horse";
/// The users.
pub(crate) const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// The name under which the second gateway is configured.
pub(crate) const GATEWAY_NAME: &str = "gw2.carrier.test";
/// The name of the customer's switch.
pub(crate) const CUSTOMER_NAME: &str = "pbx.customer.test";
/// Reaches alice.
pub(crate) const NUMBER_OF_ALICE: &str = "4930100";
/// Reaches the customer's switch.
pub(crate) const NUMBER_OF_CUSTOMER: &str = "4930200";
/// Reaches the echo application.
pub(crate) const NUMBER_OF_ECHO: &str = "4930300";

/// The customer's address.
pub(crate) fn customer_address() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 5], 5060))
}

/// The address of gateway 1, 2 or 3; the first two belong to one carrier.
pub(crate) fn gateway_address(number: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 10 + number], 5060))
}

/// A configuration.
pub(crate) fn snapshot(dice: &mut Dice) -> Snapshot {
    let account = AccountId::from_bits(1);
    Snapshot {
        revision: 1,
        settings: settings(dice),
        accounts: vec![Arc::new(Account {
            id: account,
            name: "acme".into(),
            enabled: true,
            music_on_hold: None,
            limits: limits(dice, 4),
        })],
        users: users(dice, account),
        numbers: numbers(dice, account),
        customers: vec![customer(dice, account)],
        carriers: (1..=2).map(|id| carrier(dice, id)).collect(),
        gateways: gateways(dice),
        routes: (1..=2).map(route).collect(),
        ..Snapshot::default()
    }
}

/// The same platform with nobody left to serve, so that everything recurring ends.
pub(crate) fn emptied(snapshot: &Snapshot) -> Snapshot {
    let mut after = snapshot.clone();
    after.revision += 1;
    after.users.clear();
    after.gateways.clear();
    after
}

fn settings(dice: &mut Dice) -> Settings {
    Settings {
        domain: DOMAIN.into(),
        limits: limits(dice, 6),
        call_duration_max_s: dice.pick(&[30, 200, 200]),
        ring_timeout_s: dice.pick(&[5, 15]),
        gateway_timeout_ms: 2_000,
        session_expires_s: dice.pick(&[0, 90, 90]),
        registration_min_s: 30,
        registration_max_s: 90,
        registration_default_s: 60,
        keep_alive_interval_s: dice.pick(&[0, 20]),
        verify_bindings: dice.percent(50),
        media: dice.pick(&[
            model::MediaMode::Relay,
            model::MediaMode::Relay,
            model::MediaMode::Bypass,
        ]),
        ..Settings::default()
    }
}

/// Often none; otherwise so few channels that calls of one run compete.
fn limits(dice: &mut Dice, channels_max: u64) -> LimitSpec {
    LimitSpec {
        cps: dice.percent(10).then_some(1),
        channels: dice
            .percent(25)
            .then(|| 1 + dice.below(channels_max) as u32),
    }
}

fn users(dice: &mut Dice, account: AccountId) -> Vec<Arc<User>> {
    let secret = |name: &str, algorithm| {
        let hex = ha1(
            algorithm,
            name.as_bytes(),
            DOMAIN.as_bytes(),
            PASSWORD.as_bytes(),
        );
        String::from_utf8_lossy(&hex).into_owned()
    };
    let mut user = |(at, name): (usize, &&str)| User {
        id: UserId::from_bits(1 + at as u128),
        account,
        name: (*name).into(),
        display_name: String::new(),
        caller_number: None,
        secret: DigestSecret {
            md5: secret(name, Algorithm::Md5),
            sha256: secret(name, Algorithm::Sha256),
        },
        enabled: true,
        contacts_max: 0,
        forking: dice.pick(&[Forking::Parallel, Forking::Sequential]),
        ring_timeout_s: 0,
        record: dice.pick(&[false, true]),
        dtmf: model::DtmfMode::default(),
        limits: limits(dice, 2),
    };
    USERS
        .iter()
        .enumerate()
        .map(|u| Arc::new(user(u)))
        .collect()
}

fn numbers(dice: &mut Dice, account: AccountId) -> Vec<Arc<Number>> {
    let user = UserId::from_bits(1);
    let customer = CustomerId::from_bits(1);
    let targets = [
        (NUMBER_OF_ALICE, NumberTarget::User { user }),
        (NUMBER_OF_CUSTOMER, NumberTarget::Customer { customer }),
        (NUMBER_OF_ECHO, NumberTarget::Echo),
    ];
    let mut number = |(at, (number, target)): (usize, (&str, NumberTarget))| Number {
        id: NumberId::from_bits(1 + at as u128),
        account,
        number: number.into(),
        target,
        enabled: true,
        limits: limits(dice, 2),
    };
    targets
        .into_iter()
        .enumerate()
        .map(|n| Arc::new(number(n)))
        .collect()
}

fn customer(dice: &mut Dice, account: AccountId) -> Arc<Customer> {
    let ip = customer_address().ip();
    Arc::new(Customer {
        id: CustomerId::from_bits(1),
        account,
        name: "customer".into(),
        auth: CustomerAuth::Address {
            networks: vec![ip.into()],
        },
        host: Some(CUSTOMER_NAME.into()),
        rewrite: Rewrite::default(),
        media: None,
        media_zone: None,
        enabled: true,
        limits: limits(dice, 3),
    })
}

fn carrier(dice: &mut Dice, id: u128) -> Arc<Carrier> {
    Arc::new(Carrier {
        id: CarrierId::from_bits(id),
        account: None,
        name: format!("carrier{id}"),
        rewrite: Rewrite::default(),
        media: None,
        media_zone: None,
        enabled: true,
        record: false,
        dtmf: model::DtmfMode::default(),
        limits: limits(dice, 3),
    })
}

fn gateways(dice: &mut Dice) -> Vec<Arc<Gateway>> {
    let mut gateway = |number: u8| Gateway {
        id: GatewayId::from_bits(number.into()),
        carrier: CarrierId::from_bits(if number == 3 { 2 } else { 1 }),
        name: format!("gateway{number}"),
        host: match number {
            2 => GATEWAY_NAME.into(),
            n => gateway_address(n).ip().to_string(),
        },
        port: None,
        transport: None,
        priority: number.into(),
        weight: 1,
        ping_interval_s: dice.pick(&[0, 20]),
        no_answer_timeout_ms: 0,
        auth: (number == 3).then(|| OutboundAuth {
            username: "tandem".into(),
            password: PASSWORD.into(),
        }),
        registration: None,
        inbound: true,
        enabled: true,
        limits: limits(dice, 2),
    };
    (1..=3).map(|n| Arc::new(gateway(n))).collect()
}

fn route(carrier: u128) -> Arc<Route> {
    Arc::new(Route {
        id: RouteId::from_bits(carrier),
        account: None,
        prefix: "44".into(),
        carrier: CarrierId::from_bits(carrier),
        priority: carrier as u16,
        cost_per_minute_micros: 0,
        rewrite: Rewrite::default(),
        media_zone: None,
        enabled: true,
    })
}
