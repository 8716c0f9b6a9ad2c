use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use store::Member;

use super::{Door, MISSED, SILENCE_MAX, STOPPED_MAX, Watch, knock};

#[test]
fn a_process_that_is_gone_is_dead_soon() {
    assert_eq!(dead_after(Door::Nobody), Some(MISSED));
}

#[test]
fn a_machine_that_is_silent_is_dead_late() {
    let after = dead_after(Door::Silence).unwrap();
    assert!(after >= SILENCE_MAX, "{after:?}");
}

#[test]
fn a_process_that_answers_is_not_dead() {
    assert_eq!(dead_after(Door::Open), None);
}

#[test]
fn a_process_that_is_stopped_is_dead_a_little_later() {
    let after = dead_after(Door::Stopped).unwrap();
    assert!(after >= STOPPED_MAX && after < SILENCE_MAX, "{after:?}");
}

#[test]
fn what_is_behind_a_door_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(knock(address), Door::Stopped, "nobody accepts");
    let answering = thread::spawn(move || {
        // The first is the one from before, which has gone.
        drop(listener.accept().unwrap());
        drop(listener.accept().unwrap());
    });
    assert_eq!(knock(address), Door::Open);
    answering.join().unwrap();
    assert_eq!(knock(address), Door::Nobody);
}

#[test]
fn who_beats_is_not_knocked_at() {
    let mut watch = Watch::default();
    let start = Instant::now();
    for beat in 0..100 {
        let now = start + Duration::from_millis(200) * beat;
        let member = member(u64::from(beat));
        let dead = watch.look([&member].into_iter(), now, |_| panic!("knocked"));
        assert_eq!(dead, []);
    }
}

/// How long after its last beat a member counts as dead.
fn dead_after(door: Door) -> Option<Duration> {
    let (mut watch, start) = (Watch::default(), Instant::now());
    let member = member(1);
    (0..600)
        .map(|round| Duration::from_millis(250) * round)
        .find(|silent| {
            let dead = watch.look([&member].into_iter(), start + *silent, |_| door);
            dead == [member.clone()]
        })
}

fn member(beat: u64) -> Member {
    Member {
        id: "gone".into(),
        address: SocketAddr::from(([192, 0, 2, 1], 8080)),
        beat,
    }
}
