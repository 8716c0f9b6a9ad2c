use core::time::Duration;

use model::{
    Account, Carrier, CarrierId, CustomerId, DigestSecret, Forking, Gateway, GatewayId, LimitSpec,
    NumberId, Route, RouteId, Snapshot, User, UserId,
};
use proptest::prelude::*;

use super::*;
use crate::{ATTEMPTS_MAX, Attempt, CALLS_DOWN, Failure, Identity, Service};

const ALICE: UserId = UserId::from_bits(1);
const BOB: UserId = UserId::from_bits(2);
const OURS: AccountId = AccountId::from_bits(1);
const THEIRS: AccountId = AccountId::from_bits(2);

fn now() -> Time {
    Time::from_secs(1_000)
}

fn user(id: UserId, account: AccountId, name: &str) -> Arc<User> {
    Arc::new(User {
        id,
        account,
        name: name.into(),
        display_name: String::new(),
        caller_number: (id == ALICE).then(|| "+49301".to_owned()),
        secret: DigestSecret::default(),
        enabled: true,
        contacts_max: 0,
        forking: Forking::Parallel,
        ring_timeout_s: 0,
        record: false,
        dtmf: model::DtmfMode::default(),
        limits: LimitSpec::default(),
    })
}

fn customer(id: u128, auth: CustomerAuth, host: Option<&str>) -> Arc<Customer> {
    Arc::new(Customer {
        id: CustomerId::from_bits(id),
        account: OURS,
        name: format!("customer{id}"),
        auth,
        host: host.map(str::to_owned),
        rewrite: Rewrite {
            strip_digits: 1,
            prepend: String::new(),
        },
        media: None,
        media_zone: None,
        enabled: true,
        limits: LimitSpec::default(),
    })
}

fn networks(list: &[&str]) -> CustomerAuth {
    CustomerAuth::Address {
        networks: list.iter().map(|net| net.parse().unwrap()).collect(),
    }
}

fn number(id: u128, account: AccountId, number: &str, target: NumberTarget) -> Arc<Number> {
    Arc::new(Number {
        id: NumberId::from_bits(id),
        account,
        number: number.into(),
        target,
        enabled: true,
        limits: LimitSpec::default(),
    })
}

fn carrier(id: u128, account: Option<AccountId>) -> Arc<Carrier> {
    Arc::new(Carrier {
        id: CarrierId::from_bits(id),
        account,
        name: format!("carrier{id}"),
        rewrite: Rewrite {
            strip_digits: 0,
            prepend: if id == 1 { "+".into() } else { String::new() },
        },
        media: None,
        media_zone: None,
        enabled: true,
        record: false,
        dtmf: model::DtmfMode::default(),
        limits: LimitSpec::default(),
    })
}

fn gateway(id: u128, carrier: u128, host: &str, priority: u16) -> Arc<Gateway> {
    Arc::new(Gateway {
        id: GatewayId::from_bits(id),
        carrier: CarrierId::from_bits(carrier),
        name: format!("gateway{id}"),
        host: host.into(),
        port: None,
        transport: None,
        priority,
        weight: 1,
        ping_interval_s: 0,
        no_answer_timeout_ms: 0,
        auth: None,
        registration: None,
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    })
}

fn route(id: u128, account: Option<AccountId>, prefix: &str, carrier: u128) -> Route {
    Route {
        id: RouteId::from_bits(id),
        account,
        prefix: prefix.into(),
        carrier: CarrierId::from_bits(carrier),
        priority: 0,
        cost_per_minute_micros: 0,
        rewrite: Rewrite::default(),
        media_zone: None,
        enabled: true,
    }
}

fn account(id: AccountId, name: &str) -> Arc<Account> {
    Arc::new(Account {
        id,
        name: name.into(),
        enabled: true,
        music_on_hold: None,
        limits: LimitSpec::default(),
    })
}

fn snapshot() -> Snapshot {
    let to_customer = NumberTarget::Customer {
        customer: CustomerId::from_bits(1),
    };
    Snapshot {
        accounts: vec![account(OURS, "ours"), account(THEIRS, "theirs")],
        users: vec![user(ALICE, OURS, "alice"), user(BOB, THEIRS, "1001")],
        numbers: vec![
            number(1, OURS, "+49301", NumberTarget::User { user: ALICE }),
            number(2, THEIRS, "49302", NumberTarget::Echo),
            number(3, OURS, "49303", to_customer),
        ],
        customers: vec![
            customer(1, networks(&["10.0.0.0/8"]), Some("pbx.example.com:5070")),
            customer(2, networks(&["10.1.1.1/32", "10.1.0.0/16"]), None),
        ],
        carriers: vec![carrier(1, None), carrier(2, Some(THEIRS))],
        gateways: vec![
            gateway(1, 1, "192.0.2.1", 0),
            gateway(2, 1, "192.0.2.2", 1),
            gateway(3, 2, "10.1.1.1", 0),
        ],
        routes: vec![
            Arc::new(route(1, None, "49", 1)),
            Arc::new(route(2, Some(OURS), "49", 1)),
            Arc::new(route(3, Some(THEIRS), "4940", 2)),
        ],
        ..Snapshot::default()
    }
}

/// A request from an address that nobody is known by.
fn request(called: &str) -> Request<'_> {
    Request {
        source: Source {
            address: "203.0.113.9:5060".parse().unwrap(),
            identity: None,
            certificate: None,
            gateway: None,
            line: None,
        },
        called,
        caller: "carol",
        caller_domain: Domain::Foreign,
        random: 1,
    }
}

fn by(identity: Identity, called: &str) -> Request<'_> {
    let mut request = request(called);
    request.source.identity = Some(identity);
    request
}

fn at<'a>(address: &str, called: &'a str) -> Request<'a> {
    let mut request = request(called);
    request.source.address = address.parse().unwrap();
    request
}

fn decide(snapshot: &Snapshot, request: &Request<'_>) -> (Decision, Vec<String>) {
    let mut steps: Vec<Step> = Vec::new();
    let table = Table::compile(snapshot);
    let decision = table.decide(now(), request, &Health::default(), &mut steps);
    (decision, steps.iter().map(ToString::to_string).collect())
}

fn target(request: &Request<'_>) -> Target {
    decide(&snapshot(), request).0.target
}

fn attempts_of(snapshot: &Snapshot, request: &Request<'_>) -> Vec<Attempt> {
    match decide(snapshot, request) {
        (
            Decision {
                target: Target::Gateways(list),
                ..
            },
            _,
        ) => list,
        (decision, steps) => panic!("{:?} {steps:#?}", decision.target),
    }
}

fn refusal(request: &Request<'_>) -> Option<Refusal> {
    match target(request) {
        Target::Refuse(refusal) => Some(refusal),
        _ => None,
    }
}

const AS_ALICE: Identity = Identity::User(ALICE);

#[test]
fn strangers_are_challenged_whatever_they_call() {
    for called in ["alice", "600", "49301", "4940", ""] {
        assert!(
            matches!(target(&request(called)), Target::Challenge),
            "{called}"
        );
    }
}

#[test]
fn a_user_calls_users_by_name() {
    let (decision, steps) = decide(&snapshot(), &by(AS_ALICE, "1001"));
    assert!(matches!(&decision.target, Target::User(user) if user.id == BOB));
    assert_eq!(decision.account, Some(OURS));
    assert_eq!(
        decision.entities,
        [
            EntityId::SERVER,
            entities::account(OURS),
            entities::user(ALICE)
        ]
    );
    assert_eq!(
        steps,
        ["the caller is user alice, by digest", "1001 is a user"]
    );
    assert_eq!(refusal(&by(AS_ALICE, "nobody")), Some(Refusal::NotFound));
}

#[test]
fn services_and_numbers_come_before_carriers() {
    let echo = |called| {
        matches!(
            target(&by(AS_ALICE, called)),
            Target::Service(Service::Echo)
        )
    };
    assert!(echo("600"));
    assert!(echo("+49-302"));
    let (decision, _) = decide(&snapshot(), &by(AS_ALICE, "49303"));
    let Target::Customer {
        host, destination, ..
    } = &decision.target
    else {
        panic!("{decision:?}");
    };
    assert_eq!((&**host, &**destination), ("pbx.example.com:5070", "49303"));
    assert!(
        decision
            .entities
            .contains(&entities::number(NumberId::from_bits(3)))
    );
}

#[test]
fn a_call_out_tries_the_gateways_of_the_longest_prefix() {
    let list = attempts_of(&snapshot(), &by(AS_ALICE, "+49 40 1"));
    let places: Vec<_> = list
        .iter()
        .map(|a| (a.route.bits(), a.gateway.id.bits()))
        .collect();
    // The tenant's own route first; the same gateways again by the route for all add nothing.
    assert_eq!(places, [(2, 1), (2, 2)]);
    assert_eq!(&*list[0].destination, "+49401");
    assert_eq!(&*list[0].caller, "+49301");
    assert_eq!(refusal(&by(AS_ALICE, "331")), Some(Refusal::NoRoute));
}

#[test]
fn a_longer_prefix_wins_over_the_tenants_shorter_one() {
    let mut snapshot = snapshot();
    snapshot.routes.push(Arc::new(Route {
        rewrite: Rewrite {
            strip_digits: 2,
            prepend: "0".into(),
        },
        ..route(4, None, "494", 1)
    }));
    let list = attempts_of(&snapshot, &by(AS_ALICE, "49401"));
    assert_eq!((list[0].route.bits(), &*list[0].destination), (4, "+0401"));
}

#[test]
fn routes_of_one_prefix_go_by_priority_then_cost() {
    let mut snapshot = snapshot();
    snapshot.routes.clear();
    for (id, priority, cost) in [(1, 1, 5), (2, 0, 9), (3, 0, 7)] {
        snapshot.carriers.push(carrier(id + 10, None));
        snapshot
            .gateways
            .push(gateway(id + 10, id + 10, "192.0.2.9", 0));
        snapshot.routes.push(Arc::new(Route {
            priority,
            cost_per_minute_micros: cost,
            ..route(id, None, "", id + 10)
        }));
    }
    let list = attempts_of(&snapshot, &by(AS_ALICE, "49401"));
    let costs: Vec<u64> = list.iter().map(|a| a.cost_per_minute_micros).collect();
    assert_eq!(costs, [7, 9, 5]);
}

#[test]
fn another_tenants_carrier_is_never_used() {
    let mut snapshot = snapshot();
    snapshot.routes = vec![Arc::new(route(1, None, "4", 2))];
    let (decision, steps) = decide(&snapshot, &by(AS_ALICE, "49401"));
    let refused = Refusal::NoGateway {
        retry_after_s: None,
    };
    assert!(matches!(decision.target, Target::Refuse(r) if r == refused));
    assert_eq!(decision.entities, []);
    assert_eq!(
        steps[2..],
        [
            "route \"4\" of priority 0 skipped: its carrier belongs to another account",
            "refused with 503: no gateway can be used"
        ]
    );
}

#[test]
fn gateways_that_are_down_are_left_out() {
    let table = Table::compile(&snapshot());
    let mut health = Health::default();
    let gateways = snapshot().gateways;
    health.configure(now(), gateways.iter().map(|gateway| &**gateway));
    for _ in 0..CALLS_DOWN {
        health.handle_failure(now(), GatewayId::from_bits(1), Failure::Silent);
    }
    let request = by(AS_ALICE, "49401");
    let Target::Gateways(list) = table.decide(now(), &request, &health, &mut ()).target else {
        panic!("the second gateway is up");
    };
    assert_eq!(list.len(), 1);
    let retry_after_s = Some(7);
    let second = GatewayId::from_bits(2);
    health.handle_failure(now(), second, Failure::Unavailable { retry_after_s });
    let later = now() + Duration::from_millis(1_500);
    let Target::Refuse(refusal) = table.decide(later, &request, &health, &mut ()).target else {
        panic!("no gateway is up");
    };
    assert_eq!(
        refusal,
        Refusal::NoGateway {
            retry_after_s: Some(6)
        }
    );
    assert_eq!(refusal.status(), 503);
}

#[test]
fn the_number_of_attempts_is_bounded() {
    let mut snapshot = snapshot();
    snapshot.gateways = (0..40).map(|id| gateway(id, 1, "192.0.2.1", 0)).collect();
    let list = attempts_of(&snapshot, &by(AS_ALICE, "49401"));
    assert_eq!(list.len(), ATTEMPTS_MAX);
}

#[test]
fn a_customer_is_known_by_its_narrowest_network() {
    let (decision, steps) = decide(&snapshot(), &at("10.1.2.3:9", "949401"));
    assert!(matches!(&decision.caller, Caller::Customer(c) if c.id.bits() == 2));
    let Target::Gateways(list) = decision.target else {
        panic!("{steps:#?}")
    };
    assert_eq!(
        (&*list[0].destination, &*list[0].caller),
        ("+49401", "carol")
    );
    assert_eq!(
        steps[..3],
        [
            "the caller is customer customer2: 10.1.2.3 is in 10.1.0.0/16",
            "customer customer2 rewrites 949401 to \"49401\"",
            "the longest matching prefix of 49401 is \"49\": 1 routes of the account, 1 for all",
        ]
    );
    let (decision, _) = decide(&snapshot(), &at("10.9.9.9:9", "949401"));
    assert!(matches!(&decision.caller, Caller::Customer(c) if c.id.bits() == 1));
    assert_eq!(refusal(&at("10.9.9.9:9", "alice")), Some(Refusal::NotFound));
}

#[test]
fn an_address_shared_by_customer_and_gateway_is_told_apart_by_port() {
    let caller = |address| decide(&snapshot(), &at(address, "49302")).0.caller;
    assert!(matches!(caller("10.1.1.1:5060"), Caller::Carrier { .. }));
    assert!(matches!(caller("10.1.1.1:5061"), Caller::Customer(_)));
}

#[test]
fn a_carrier_reaches_numbers_and_nothing_else() {
    let (decision, steps) = decide(&snapshot(), &at("192.0.2.1:5060", "+49301"));
    assert!(
        matches!(&decision.target, Target::User(user) if user.id == ALICE),
        "{steps:#?}"
    );
    assert_eq!(decision.account, Some(OURS));
    for called in ["alice", "600", "49401", "33"] {
        let request = at("192.0.2.1:5060", called);
        assert_eq!(refusal(&request), Some(Refusal::NotOurs), "{called}");
        // From another port it may be anybody behind that address.
        assert!(matches!(
            target(&at("192.0.2.1:6000", called)),
            Target::Challenge
        ));
    }
    assert!(matches!(
        target(&at("192.0.2.1:6000", "49301")),
        Target::User(_)
    ));
    // A carrier of one tenant does not reach the numbers of another.
    assert_eq!(
        refusal(&at("10.1.1.1:5060", "49301")),
        Some(Refusal::NotOurs)
    );
}

#[test]
fn a_gateway_known_by_name_is_known_by_its_resolved_address() {
    let mut snapshot = snapshot();
    snapshot.gateways = vec![gateway(9, 1, "sip.example.com", 0)];
    let mut request = request("49301");
    request.source.gateway = Some(GatewayId::from_bits(9));
    assert!(matches!(
        decide(&snapshot, &request).0.target,
        Target::User(_)
    ));
}

#[test]
fn the_line_that_a_call_was_sent_to_is_its_gateway_whatever_the_port() {
    let mut snapshot = snapshot();
    let at_port = |id, port| {
        let mut gateway = Gateway::clone(&gateway(id, 1, "203.0.113.9", 0));
        gateway.port = Some(port);
        Arc::new(gateway)
    };
    snapshot.gateways = vec![at_port(8, 5060), at_port(9, 5070)];
    let mut request = request("49301");
    request.source.line = Some(GatewayId::from_bits(9));
    match decide(&snapshot, &request).0.caller {
        Caller::Carrier { gateway, .. } => assert_eq!(gateway.id, GatewayId::from_bits(9)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_claims_to_be_a_user_must_prove_it() {
    let mut request = at("10.1.2.3:9", "949401");
    request.caller = "alice";
    assert!(matches!(target(&request), Target::Gateways(_)));
    request.caller_domain = Domain::Ours;
    assert!(matches!(target(&request), Target::Challenge));
}

#[test]
fn at_the_very_port_of_a_gateway_there_is_no_phone() {
    let snapshot = snapshot();
    let claims = |source| {
        let mut request = at(source, "949401");
        request.caller = "alice";
        request.caller_domain = Domain::Ours;
        decide(&snapshot, &request).0.caller
    };
    let caller = claims("192.0.2.1:5060");
    assert!(matches!(caller, Caller::Carrier { .. }), "{caller:?}");
    assert!(matches!(claims("192.0.2.1:9"), Caller::Unknown));
}

#[test]
fn what_is_switched_off_neither_calls_nor_is_called() {
    let mut off = snapshot();
    Arc::make_mut(&mut off.accounts[0]).enabled = false;
    let (decision, _) = decide(&off, &by(AS_ALICE, "1001"));
    assert!(matches!(
        decision.target,
        Target::Refuse(Refusal::CallerDisabled)
    ));
    let table = Table::compile(&off);
    assert!(table.credentials("alice").is_none() && table.credentials("1001").is_some());

    let mut off = snapshot();
    Arc::make_mut(&mut off.users[1]).enabled = false;
    let (decision, _) = decide(&off, &by(AS_ALICE, "1001"));
    assert!(matches!(
        decision.target,
        Target::Refuse(Refusal::CalleeUnavailable)
    ));
    assert!(Table::compile(&off).credentials("1001").is_none());
}

#[test]
fn limits_name_every_record() {
    let snapshot = snapshot();
    assert_eq!(
        crate::limits_of(&snapshot).count(),
        1 + 2 + 2 + 3 + 2 + 2 + 3
    );
    let list = attempts_of(&snapshot, &by(AS_ALICE, "49401"));
    let named: Vec<_> = crate::limits_of(&snapshot).map(|(id, _)| id).collect();
    assert!(list[0].entities().iter().all(|id| named.contains(id)));
}

proptest! {
    #[test]
    fn only_users_and_customers_reach_carriers(
        called in "\\PC{0,12}|[+]?[0-9]{0,12}",
        address in proptest::sample::select(vec![
            "192.0.2.1:5060", "192.0.2.1:1", "10.1.1.1:5060", "10.1.1.1:1", "10.2.2.2:1", "[::1]:1",
        ]),
        random: u64,
    ) {
        let mut request = at(address, &called);
        request.random = random;
        let (decision, steps) = decide(&snapshot(), &request);
        prop_assert!(!steps.is_empty());
        if matches!(decision.target, Target::Gateways(_)) {
            prop_assert!(matches!(decision.caller, Caller::Customer(_)));
        }
        let open = !matches!(decision.target, Target::Challenge | Target::Refuse(_));
        prop_assert_eq!(open, !decision.entities.is_empty());
    }
}
