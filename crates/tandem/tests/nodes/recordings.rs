//! Recordings of several machines: each has its own, and whoever has the records of calls lists all.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{
    Baresip, PhoneOptions, PhoneTransport, Platform, PlatformOptions, PostgresServer, record_path,
    wait_for,
};

use crate::control::{BINARY, Control, on_machine};

/// Alice and bob at a node, where users are those that another one has said.
struct Phones {
    alice: Baresip,
    bob: Baresip,
    domain: String,
}

impl Phones {
    fn at(node: &Platform, users_of: &Platform) -> Result<Self> {
        let ready = users_of.ready();
        let phone = |name: &str, tone_hz| {
            let options = PhoneOptions::new(name, &ready.domain)
                .password(&ready.user(name).password)
                .server(node.ready().sip.udp, PhoneTransport::Udp);
            Baresip::register(options.tone_hz(tone_hz))
        };
        let (alice, bob) = (phone("alice", 440)?, phone("bob", 1_000)?);
        node.wait_for_routable(2);
        Ok(Self {
            alice,
            bob,
            domain: ready.domain.clone(),
        })
    }

    /// They talk until there is a second of it; the recording as the node has it then.
    fn talk(&mut self, node: &Platform) -> Result<Value> {
        self.alice.dial(&format!("sip:bob@{}", self.domain))?;
        self.bob.wait_for_incoming();
        self.bob.answer()?;
        self.alice.wait_for_established();
        let found = wait_for("a recording that grows", || {
            let mut all = node.rest().list("/v1/recordings").ok()?.into_iter();
            all.find(|r| r["finished"] == false && r["length_ms"].as_u64() > Some(1_500))
        });
        assert_eq!(found["here"], true, "{found}");
        Ok(found)
    }

    fn hang_up(&mut self) -> Result<()> {
        self.alice.hang_up()?;
        self.bob.wait_for_closed();
        Ok(())
    }
}

/// Alice's calls are recorded.
fn record_alice(platform: &Platform) -> Result<()> {
    let rest = platform.rest();
    let users = rest.list("/v1/users")?;
    let alice = users.iter().find(|user| user["name"] == "alice");
    let alice = record_path("users", alice.context("alice")?);
    rest.change(&alice, &json!({ "record": true }))?;
    Ok(())
}

/// A recording of a list, once it is there and finished.
#[track_caller]
fn wait_for_finished(platform: &Platform, file: &Value) -> Value {
    wait_for(&format!("{file} to be finished"), || {
        let all = platform.rest().list("/v1/recordings").ok()?;
        let mut same = all.into_iter().filter(|r| r["file"] == *file);
        let found = same.next()?;
        assert_eq!(same.next(), None, "{file} twice");
        (found["finished"] == true).then_some(found)
    })
}

/// The recording is on the disk of this node, which says so, and is known to the other as its own.
#[track_caller]
fn assert_at(node: &Platform, name: &str, other: &Platform, file: &Value) -> Result<()> {
    let here = wait_for_finished(node, file);
    assert_eq!(
        (&here["here"], &here["node"]),
        (&json!(true), &Value::Null),
        "{here}"
    );
    assert!(here["length_ms"].as_u64() > Some(1_000), "{here}");
    let text = file.as_str().context("a name")?;
    let length = fs::metadata(node.data().join("recordings").join(text))?.len();
    assert_eq!(here["bytes"], length);
    let there = wait_for_finished(other, file);
    assert_eq!(
        (&there["here"], &there["node"]),
        (&json!(false), &json!(name)),
        "{there}"
    );
    for (platform, words) in [(node, text), (other, name)] {
        let listed = platform.command_line(&["recording", "list"])?;
        let mut lines = listed.stdout.lines();
        let line = lines.find(|line| line.contains(text));
        assert!(line.is_some_and(|l| l.contains(words)), "{listed:?}");
    }
    Ok(())
}

/// One call that ends, and one over which the node is killed.
fn are_listed_by_both(node: &mut Platform, name: &str, other: &Platform) -> Result<()> {
    let mut phones = Phones::at(node, other)?;
    let first = phones.talk(node)?;
    phones.hang_up()?;
    assert_at(node, name, other, &first["file"])?;

    let second = phones.talk(node)?;
    node.kill_9();
    // It is down: what it had is known nevertheless, as far as calls have ended.
    assert_eq!(wait_for_finished(other, &first["file"])["node"], name);
    node.restart()?;
    assert_at(node, name, other, &second["file"])?;
    assert_at(node, name, other, &first["file"])
}

#[test]
fn recordings_of_a_joined_node_are_listed_there_and_at_control() -> Result<()> {
    let control = Control::start()?;
    record_alice(&control.platform)?;
    let mut node = control.node("berlin")?;
    control.wait_for_state("berlin", "up");
    are_listed_by_both(&mut node, "berlin", &control.platform)
}

#[test]
fn recordings_of_a_node_are_listed_by_another_with_the_same_database() -> Result<()> {
    let postgres = PostgresServer::start()?;
    let node = |name| -> Result<Platform> {
        let options = on_machine(PlatformOptions::new(BINARY), name);
        options
            .argument("--store")
            .argument(&postgres.url())
            .start()
    };
    let first = node("rome")?;
    record_alice(&first)?;
    let mut second = node("oslo")?;
    are_listed_by_both(&mut second, "oslo", &first)
}
