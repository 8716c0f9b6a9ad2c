use std::time::{Duration, Instant};

use limits::{Claim, EntityId, EntityKind, LimitKind, Pool};
use testkit::{FaultProxy, Line, RedisSentinel, RedisServer, wait_for};

use super::{DRAIN, GRACE, RedisPermits};
use crate::conformance::{Faulty, permits};
use crate::{PermitStore, Renewed, StoreError};

#[test]
fn permits_conform() {
    let server = RedisServer::start().unwrap();
    permits::run(|name, number| node(&server.url(), name, number));
    server.ask("FLUSHALL").unwrap();
    permits::run(|name, number| Faulty::new(node(&server.url(), name, number), 7));
}

#[test]
fn permits_conform_over_a_slow_line() {
    let server = RedisServer::start().unwrap();
    let line = FaultProxy::to(server.address()).unwrap();
    line.set(Line::Slow(Duration::from_millis(20)));
    let url = format!("redis://{}", line.address());
    permits::run(|name, number| node(&url, name, number));
}

#[test]
fn a_line_that_breaks_is_said_so_and_found_again() {
    let server = RedisServer::start().unwrap();
    let line = FaultProxy::to(server.address()).unwrap();
    let mut node = node(&format!("redis://{}", line.address()), "x", 1);
    assert_eq!(share(&mut node, 0, 10), Ok(10));
    let faults: [&dyn Fn(); 3] = [&|| line.cut(), &|| line.set(Line::Refusing), &|| {
        line.set(Line::Dead)
    }];
    for fault in faults {
        fault();
        let began = Instant::now();
        let failed = node.renew(&[claim(10, 10)]);
        assert!(
            matches!(failed, Err(StoreError::Unavailable(_))),
            "{failed:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(4), "bounded");
        line.set(Line::Good);
        assert_eq!(share(&mut node, 10, 10), Ok(10));
    }
}

#[test]
fn a_store_that_has_forgotten_grants_nothing_before_all_have_told_it_again() {
    let mut server = RedisServer::start().unwrap();
    let patient = |number| {
        let mut node = node(&server.url(), "x", number);
        node.grace = GRACE;
        node
    };
    let (mut one, mut other) = (patient(1), patient(2));
    // New as it is, it may have forgotten everything.
    assert_eq!(share(&mut one, 0, 7), Ok(0));
    wait_for("the first permits", || {
        (share(&mut one, 0, 7) == Ok(7)).then_some(())
    });
    assert_eq!(share(&mut other, 0, 3), Ok(3));
    for restart in [false, true] {
        if restart {
            server.go();
            assert!(share(&mut one, 7, 7).is_err());
            server.come().unwrap();
        } else {
            server.ask("FLUSHALL").unwrap();
        }
        // One comes first, and asks for more: the other may still use its own.
        let more = || claim(7, 10);
        let came = wait_for("the store", || one.renew(&[more()]).ok());
        assert_eq!(granted(&came), Some(7), "restart: {restart}");
        let came = wait_for("the store", || other.renew(&[claim(3, 3)]).ok());
        assert_eq!(granted(&came), Some(3), "restart: {restart}");
        wait_for("the end of its grace", || {
            (share(&mut other, 0, 0) == Ok(0)).then_some(())?;
            (share(&mut one, 7, 10) == Ok(10)).then_some(())
        });
        assert_eq!(share(&mut one, 7, 7), Ok(7));
        assert_eq!(share(&mut other, 0, 3), Ok(3));
    }
}

#[test]
fn what_a_successor_of_the_server_never_heard_of_is_not_granted_twice() {
    let server = RedisServer::start().unwrap();
    let (mut one, mut other) = (node(&server.url(), "x", 1), node(&server.url(), "x", 2));
    one.grace = GRACE;
    other.grace = GRACE;
    wait_for("the first permits", || {
        (share(&mut one, 0, 9) == Ok(9)).then_some(())
    });
    // It took over with what it knew before that grant.
    let forget = [
        "DEL x:permits:carrier.channels.1",
        "HSET x:epoch run before",
    ];
    for command in forget {
        server.ask(command).unwrap();
    }
    assert_eq!(share(&mut other, 0, 10), Ok(0));
    assert_eq!(share(&mut one, 9, 9), Ok(9));
    wait_for("the end of its grace", || {
        (share(&mut other, 0, 10) == Ok(1)).then_some(())
    });
}

#[test]
fn the_master_that_sentinels_name_is_followed_and_nothing_is_granted_twice() {
    let mut master = RedisServer::start().unwrap();
    let replica = RedisServer::replica_of(&master).unwrap();
    let sentinel = RedisSentinel::of(&master).unwrap();
    let url = sentinel.url();
    let (mut one, mut other) = (node(&url, "x", 1), node(&url, "x", 2));
    one.grace = GRACE;
    other.grace = GRACE;
    wait_for("the first permits", || {
        (share(&mut one, 0, 7) == Ok(7)).then_some(())
    });
    wait_for("the replica to be there", || {
        let known = master.ask("WAIT 1 100").ok()?;
        (known == ":1").then_some(())
    });
    master.go();
    let came = wait_for("its successor", || one.renew(&[claim(7, 10)]).ok());
    assert_eq!(granted(&came), Some(7));
    assert_eq!(replica.ask("GET x:nothing").unwrap(), "$-1");
    wait_for("the end of its grace", || {
        (share(&mut other, 0, 10) == Ok(3)).then_some(())
    });
    assert_eq!(share(&mut one, 7, 10), Ok(7));
    // The old one comes back, as a replica.
    master.come().unwrap();
    assert_eq!(share(&mut one, 7, 10), Ok(7));
    assert_eq!(share(&mut other, 3, 10), Ok(3));
}

#[test]
fn places_that_say_too_little_are_refused() {
    for url in ["redis+sentinel://h:1", "redis+sentinel://h:1/", "h", ""] {
        let refused = RedisPermits::new(url, "x", permits::place(1)).err();
        assert!(
            matches!(refused, Some(StoreError::Misconfigured(_))),
            "{url}: {refused:?}"
        );
    }
}

#[test]
fn a_question_that_comes_late_changes_nothing() {
    let server = RedisServer::start().unwrap();
    let (mut one, mut other) = (node(&server.url(), "x", 1), node(&server.url(), "x", 2));
    assert_eq!(share(&mut one, 0, 2), Ok(2));
    assert_eq!(share(&mut one, 2, 10), Ok(10));
    // The first one again, as if it had been on its way all the time.
    one.sequence -= 2;
    assert!(share(&mut one, 0, 2).is_err());
    assert_eq!(share(&mut other, 0, 10), Ok(0));
}

#[test]
fn what_an_earlier_start_held_is_free_when_what_it_permitted_counts_no_more() {
    let server = RedisServer::start().unwrap();
    let (mut before, mut after) = (node(&server.url(), "x", 1), node(&server.url(), "x", 101));
    after.drain = DRAIN;
    assert_eq!(share(&mut before, 0, 10), Ok(10));
    let died = Instant::now();
    assert_eq!(share(&mut after, 0, 10), Ok(0));
    wait_for("what the earlier one held", || {
        (share(&mut after, 0, 10) == Ok(10)).then_some(())
    });
    assert!(died.elapsed() > Duration::from_secs(1));
    assert_eq!(before.renew(&[]).unwrap(), Renewed::Buried);
}

/// A node of the cluster of this name, which has keys of its own.
fn node(url: &str, cluster: &str, number: u16) -> RedisPermits {
    let id = permits::id(number);
    let mut node = RedisPermits::new(url, &id, permits::place(number)).unwrap();
    node.prefix = format!("{cluster}:");
    node.grace = Duration::ZERO;
    node.drain = Duration::ZERO;
    node
}

fn share(node: &mut RedisPermits, held: u32, ask: u32) -> Result<u32, String> {
    let renewed = node.renew(&[claim(held, ask)]);
    let renewed = renewed.map_err(|error| error.to_string())?;
    granted(&renewed).ok_or_else(|| format!("{renewed:?}"))
}

fn granted(renewed: &Renewed) -> Option<u32> {
    match renewed {
        Renewed::Granted { grants, .. } => grants.first().map(|grant| grant.share),
        Renewed::Buried => None,
    }
}

fn claim(held: u32, ask: u32) -> Claim {
    Claim {
        pool: Pool {
            entity: EntityId::new(EntityKind::Carrier, 1),
            kind: LimitKind::Channels,
        },
        limit: 10,
        held,
        ask,
        want: ask,
    }
}
