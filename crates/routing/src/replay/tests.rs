use std::sync::Arc;

use model::{
    Account, AccountId, Carrier, CdrOutcome, Customer, CustomerAuth, EndedBy, Gateway, LimitSpec,
    Number, NumberId, NumberTarget, Rewrite, Route, RouteId, Snapshot,
};

use super::*;

const OURS: AccountId = AccountId::from_bits(1);
const CUSTOMER: CustomerId = CustomerId::from_bits(1);
const MINUTE_US: u64 = 60_000_000;

fn customer() -> Arc<Customer> {
    Arc::new(Customer {
        id: CUSTOMER,
        account: OURS,
        name: "pbx".into(),
        auth: CustomerAuth::Address {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
        },
        host: Some("pbx.example.com".into()),
        rewrite: Rewrite::default(),
        media: None,
        media_zone: None,
        enabled: true,
        limits: LimitSpec::default(),
    })
}

fn carrier(id: u128) -> Arc<Carrier> {
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
        limits: LimitSpec::default(),
    })
}

/// The only gateway of the carrier with the same number.
fn gateway(id: u128) -> Arc<Gateway> {
    Arc::new(Gateway {
        id: GatewayId::from_bits(id),
        carrier: CarrierId::from_bits(id),
        name: format!("gateway{id}"),
        host: format!("192.0.2.{id}"),
        port: None,
        transport: None,
        priority: 0,
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

fn route(id: u128, carrier: u128, priority: u16) -> Arc<Route> {
    Arc::new(Route {
        id: RouteId::from_bits(id),
        account: None,
        prefix: "49".into(),
        carrier: CarrierId::from_bits(carrier),
        priority,
        cost_per_minute_micros: 0,
        rewrite: Rewrite::default(),
        media_zone: None,
        enabled: true,
    })
}

fn snapshot() -> Snapshot {
    Snapshot {
        accounts: vec![Arc::new(Account {
            id: OURS,
            name: "ours".into(),
            enabled: true,
            music_on_hold: None,
            limits: LimitSpec::default(),
        })],
        customers: vec![customer()],
        numbers: vec![Arc::new(Number {
            id: NumberId::from_bits(1),
            account: OURS,
            number: "+49301".into(),
            target: NumberTarget::Customer { customer: CUSTOMER },
            enabled: true,
            limits: LimitSpec::default(),
        })],
        carriers: vec![carrier(1), carrier(2)],
        gateways: vec![gateway(1), gateway(2)],
        routes: vec![route(1, 1, 0)],
        ..Snapshot::default()
    }
}

/// A minute of the customer by the first gateway.
fn call() -> Cdr {
    Cdr {
        call: CallId::from_bits(7),
        node: "n1".into(),
        sequence: 1,
        account: Some(OURS),
        from_user: None,
        to_user: None,
        customer: Some(CUSTOMER),
        number: None,
        carrier: Some(CarrierId::from_bits(1)),
        gateway: Some(GatewayId::from_bits(1)),
        caller: "4930".into(),
        called: "4940".into(),
        destination: "4940".into(),
        source: "udp:10.1.2.3:5060".into(),
        sip_call_id: "a".into(),
        sip_call_id_b: "b".into(),
        start_us: MINUTE_US,
        ring_us: None,
        answer_us: Some(2 * MINUTE_US),
        end_us: 3 * MINUTE_US,
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

/// From the second carrier to a number of ours.
fn inbound() -> Cdr {
    Cdr {
        customer: None,
        carrier: Some(CarrierId::from_bits(2)),
        gateway: Some(GatewayId::from_bits(2)),
        called: "49301".into(),
        source: "udp:192.0.2.2:5060".into(),
        ..call()
    }
}

fn replay(draft: &Snapshot, calls: &[Cdr]) -> ReplayReport {
    let (before, after) = (Table::compile(&snapshot()), Table::compile(draft));
    let mut replay = Replay::new(&before, &after, 10);
    for cdr in calls {
        replay.handle_call(cdr);
    }
    replay.into_report()
}

fn key(id: u128) -> (CarrierId, GatewayId) {
    (CarrierId::from_bits(id), GatewayId::from_bits(id))
}

#[test]
fn a_draft_that_changes_nothing_changes_no_call() {
    let report = replay(&snapshot(), &[call(), inbound()]);
    assert_eq!(report.same, 2);
    assert_eq!(report.not_as_recorded, 0);
    assert_eq!(report.before, report.after);
    assert!(report.differences.is_empty() && report.unjudged.is_empty());
}

#[test]
fn a_route_to_another_carrier_takes_calls_and_minutes_there() {
    let mut draft = snapshot();
    draft.routes = vec![route(1, 2, 0)];
    let report = replay(&draft, &[call()]);
    assert_eq!((report.same, report.elsewhere), (0, 1));
    let load = ReplayLoad {
        calls: 1,
        talk_us: MINUTE_US,
    };
    assert_eq!(report.before, BTreeMap::from([(key(1), load)]));
    assert_eq!(report.after, BTreeMap::from([(key(2), load)]));
    let difference = &report.differences[0];
    let steps = difference.after.steps.join("\n");
    assert!(steps.contains("carrier2"), "{steps}");
}

#[test]
fn another_way_out_if_the_first_fails_is_told_apart() {
    let mut draft = snapshot();
    draft.routes.push(route(2, 2, 1));
    let report = replay(&draft, &[call()]);
    assert_eq!((report.other_fallback, report.elsewhere), (1, 0));
}

#[test]
fn a_gateway_taken_away_refuses_what_it_carried() {
    let mut draft = snapshot();
    draft.gateways = vec![gateway(2)];
    let report = replay(&draft, &[call()]);
    assert_eq!(report.now_refused, 1);
    assert!(report.after.is_empty());
}

#[test]
fn a_number_switched_off_refuses_calls_from_carriers() {
    let mut draft = snapshot();
    Arc::make_mut(&mut draft.numbers[0]).enabled = false;
    let report = replay(&draft, &[inbound(), call()]);
    assert_eq!((report.now_refused, report.same), (1, 1));
}

#[test]
fn a_customer_whose_network_is_taken_away_is_a_stranger() {
    let mut draft = snapshot();
    Arc::make_mut(&mut draft.customers[0]).auth = CustomerAuth::Address {
        networks: vec!["10.9.0.0/16".parse().unwrap()],
    };
    let report = replay(&draft, &[call()]);
    assert_eq!(report.differences[0].after.ways, [Way::Challenged]);
}

#[test]
fn a_call_that_went_by_another_gateway_then_is_counted() {
    let then = Cdr {
        gateway: Some(GatewayId::from_bits(2)),
        ..call()
    };
    let report = replay(&snapshot(), &[then, call()]);
    assert_eq!((report.same, report.not_as_recorded), (2, 1));
}

#[test]
fn a_call_whose_caller_cannot_be_rebuilt_is_not_judged() {
    let nobody = Cdr {
        customer: None,
        gateway: None,
        ..call()
    };
    let gone = Cdr {
        customer: Some(CustomerId::from_bits(99)),
        ..call()
    };
    let unreadable = Cdr {
        source: "nowhere".into(),
        ..call()
    };
    let report = replay(&snapshot(), &[nobody, gone, unreadable]);
    let expected = [
        (Unjudged::CallerUnknown, 1),
        (Unjudged::CallerGone, 1),
        (Unjudged::SourceUnreadable, 1),
    ];
    assert_eq!(report.unjudged, BTreeMap::from(expected));
    assert_eq!(report.same, 0);
}

#[test]
fn only_the_first_differing_calls_are_kept() {
    let mut draft = snapshot();
    draft.routes.clear();
    let calls = vec![call(); 12];
    let report = replay(&draft, &calls);
    assert_eq!((report.now_refused, report.differences.len()), (12, 10));
}
