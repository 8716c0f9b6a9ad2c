use std::net::TcpListener;
use std::thread;

use cluster::Door;

use super::{LiveHealth, knock};

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
fn the_clock_of_the_store_is_compared_with_ours() {
    let health = LiveHealth::default();
    assert_eq!(health.clock_skew_us(), None);
    health.note_clock((5_000_000, 5_000_400), 3_000_100);
    assert_eq!(health.clock_skew_us(), Some(2_000_100));
    // An answer that took long says little.
    health.note_clock((6_000_000, 7_000_000), 6_000_000);
    assert_eq!(health.clock_skew_us(), Some(2_000_100));
    health.note_clock((8_000_000, 8_000_200), 8_000_150);
    assert_eq!(health.clock_skew_us(), Some(-50));
}
