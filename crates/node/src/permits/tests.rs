use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use clock::Time;
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
        for status in ["503 Service Unavailable", "504 Gateway Timeout"] {
            let (mut door, _) = listener.accept().unwrap();
            door.read_exact(&mut [0; b"GET /readyz HTTP/1.0\r\n\r\n".len()])
                .unwrap();
            door.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes())
                .unwrap();
        }
    });
    assert_eq!(knock(address), Door::Open);
    assert_eq!(knock(address), Door::Open, "it takes no calls, and lives");
    assert_eq!(
        knock(address),
        Door::Stopped,
        "its API answers, its switch does not"
    );
    answering.join().unwrap();
    assert_eq!(knock(address), Door::Nobody);
}

#[test]
fn the_clock_of_the_store_is_compared_with_ours() {
    let health = LiveHealth::default();
    assert_eq!(health.clock_ahead(), None);
    let told = |asked_us, answered_us, theirs_us| {
        let [asked, answered, theirs] = [asked_us, answered_us, theirs_us].map(Time::from_micros);
        health.note_clock((asked, answered), theirs);
        health.clock_ahead().unwrap().as_micros()
    };
    assert_eq!(told(5_000_000, 5_000_400, 3_000_100), 2_000_100);
    let late = told(6_000_000, 7_000_000, 6_000_000);
    assert_eq!(late, 2_000_100, "an answer that took long says little");
    assert_eq!(told(8_000_000, 8_000_200, 8_000_150), -50);
}
