use std::net::TcpListener;
use std::thread;

use cluster::Door;

use super::knock;

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
