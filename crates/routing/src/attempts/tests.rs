use model::{CarrierId, GatewayId, LimitSpec};
use proptest::prelude::*;

use super::*;

fn gateway(id: u128, priority: u16, weight: u16) -> Arc<Gateway> {
    Arc::new(Gateway {
        id: GatewayId::from_bits(id),
        carrier: CarrierId::from_bits(1),
        name: format!("g{id}"),
        host: "192.0.2.1".into(),
        port: None,
        transport: None,
        priority,
        weight,
        ping_interval_s: 0,
        no_answer_timeout_ms: 0,
        auth: None,
        registration: None,
        inbound: false,
        enabled: true,
        limits: LimitSpec::default(),
    })
}

#[test]
fn the_first_place_is_shared_by_weight() {
    let gateways = [gateway(1, 0, 10), gateway(2, 0, 30), gateway(3, 0, 60)];
    let mut first = [0_u32; 4];
    for random in 0..10_000 {
        let ordered = order(&gateways, &mut Draw(random));
        first[ordered[0].id.bits() as usize] += 1;
    }
    for (id, share) in [(1, 1_000), (2, 3_000), (3, 6_000)] {
        assert!(first[id].abs_diff(share) < 200, "gateway {id}: {first:?}");
    }
}

#[test]
fn weight_zero_comes_last_in_the_order_of_configuration() {
    let gateways = [gateway(1, 0, 0), gateway(2, 0, 5), gateway(3, 0, 0)];
    for random in 0..100 {
        let ordered = order(&gateways, &mut Draw(random));
        let ids: Vec<u128> = ordered.iter().map(|g| g.id.bits()).collect();
        assert_eq!(ids, [2, 1, 3]);
    }
}

proptest! {
    #[test]
    fn all_gateways_are_listed_once_by_priority(
        mut list in proptest::collection::vec((0_u16..4, 0_u16..9), 0..20),
        random: u64,
    ) {
        list.sort_by_key(|(priority, _)| *priority);
        let numbered = list.iter().enumerate();
        let gateways: Vec<_> = numbered.map(|(i, (p, w))| gateway(i as u128, *p, *w)).collect();
        let ordered = order(&gateways, &mut Draw(random));
        prop_assert!(ordered.is_sorted_by_key(|gateway| gateway.priority));
        let mut ids: Vec<u128> = ordered.iter().map(|gateway| gateway.id.bits()).collect();
        ids.sort_unstable();
        prop_assert!(ids.into_iter().eq(0..gateways.len() as u128));
    }
}
