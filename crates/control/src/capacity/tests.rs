use super::*;
use crate::Report;

fn server(n: u64, state: ServerState, used: u32, limit: Option<u32>) -> ServerHealth {
    let report = Report {
        channels: used,
        channels_limit: limit,
        cps: 0,
        cps_limit: limit,
        ..Report::default()
    };
    ServerHealth::sample(ServerId::from_parts(n, 0), state, Some(report))
}

fn of(servers: &[(ServerState, u32, Option<u32>)]) -> Capacity {
    let servers: Vec<_> = (1..)
        .zip(servers)
        .map(|(n, (state, used, limit))| server(n, *state, *used, *limit))
        .collect();
    Capacity::of(&servers)
}

const UP: ServerState = ServerState::Up;

#[test]
fn half_of_three_equal_servers_survives_the_loss_of_one() {
    let capacity = of(&[
        (UP, 50, Some(100)),
        (UP, 50, Some(100)),
        (UP, 50, Some(100)),
    ]);
    assert_eq!(capacity.standing, Headroom::Good);
    assert_eq!(
        (capacity.channels, capacity.channels_allowed),
        (Some(150), Some(300))
    );
    assert_eq!(capacity.channels_allowed_after_loss, Some(200));
    assert_eq!(
        (capacity.used_percent, capacity.used_after_loss_percent),
        (Some(50), Some(75))
    );
}

#[test]
fn one_call_more_than_half_is_tight() {
    let capacity = of(&[
        (UP, 51, Some(100)),
        (UP, 50, Some(100)),
        (UP, 50, Some(100)),
    ]);
    assert_eq!(
        (capacity.standing, capacity.used_percent),
        (Headroom::Tight, Some(51))
    );
}

#[test]
fn it_is_the_largest_whose_death_counts() {
    let capacity = of(&[(UP, 10, Some(1_000)), (UP, 10, Some(19))]);
    assert_eq!(capacity.channels_allowed_after_loss, Some(19));
    assert_eq!(capacity.standing, Headroom::Short, "{}", capacity.cause);
}

#[test]
fn a_server_that_takes_no_calls_is_no_room_and_its_calls_are_counted() {
    let capacity = of(&[
        (UP, 10, Some(100)),
        (UP, 10, Some(100)),
        (ServerState::Draining, 60, Some(1_000)),
    ]);
    assert_eq!(capacity.channels, Some(80));
    assert_eq!(capacity.channels_allowed, Some(200));
}

#[test]
fn what_was_not_heard_of_is_not_known() {
    let silent = (ServerState::Unreachable, 70, Some(100));
    let capacity = of(&[silent, silent]);
    assert_eq!(
        (capacity.standing, capacity.channels),
        (Headroom::Unknown, None)
    );
    assert_eq!(capacity.members[0].channels, None);
    assert_eq!(of(&[]).standing, Headroom::Empty);
    assert_eq!(of(&[(UP, 1, Some(9)), silent]).standing, Headroom::Single);
    let unlimited = of(&[(UP, 1, None), (UP, 1, Some(9))]);
    assert_eq!(
        (unlimited.standing, unlimited.used_percent),
        (Headroom::Unknown, None)
    );
    let drained = (ServerState::Drained, 0, Some(9));
    assert_eq!(of(&[drained]).standing, Headroom::Down);
}
