//! Registrations as phones and their users see them.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{Message, Peer, Platform, authorization, wait_for, wait_for_within};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn peer(platform: &Platform) -> Result<Peer> {
    Peer::new(platform.ready().sip.udp)
}

#[test]
fn a_challenge_can_offer_sha_256_before_md5_and_both_are_accepted() -> Result<()> {
    let platform = platform()?;
    let settings = json!({ "digest": "both" });
    platform.rest().change("/v1/settings", &settings)?;
    let ready = platform.ready();
    let phone = peer(&platform)?;
    let uri = format!("sip:{}", ready.domain);
    let to = format!("To: <sip:alice@{}>", ready.domain);
    for algorithm in ["SHA-256", "MD5"] {
        phone.send(phone.request("REGISTER", &uri, &[&to], ""))?;
        let refusal = phone.expect_status(401, "REGISTER");
        let challenges: Vec<&str> = refusal.all("WWW-Authenticate").collect();
        assert_eq!(challenges.len(), 2, "{refusal:?}");
        assert!(challenges[0].contains("SHA-256"), "{refusal:?}");
        let wanted = format!("algorithm={algorithm}");
        let challenge = challenges
            .iter()
            .find(|c| c.contains(&wanted))
            .expect("it is offered");
        let alice = ready.credentials("alice");
        let answer = format!(
            "Authorization: {}",
            authorization(&alice, challenge, "REGISTER", &uri)
        );
        let lines = [to.as_str(), answer.as_str(), "Expires: 120"];
        phone.send(phone.request("REGISTER", &uri, &lines, ""))?;
        let accepted = phone.expect_status(200, "REGISTER");
        let contact = accepted.header("Contact").unwrap_or_default();
        assert!(contact.contains("expires=120"), "{algorithm}: {accepted:?}");
    }
    Ok(())
}

#[test]
fn an_interval_too_brief_is_refused_with_the_shortest() -> Result<()> {
    let platform = platform()?;
    let answer = peer(&platform)?.register(platform.ready(), "alice", &["Expires: 10"])?;
    assert_eq!(answer.status(), Some(423));
    assert_eq!(answer.header("Min-Expires"), Some("60"));
    assert!(platform.registrations().is_empty());
    Ok(())
}

#[test]
fn several_contacts_come_and_go_one_by_one_and_all_at_once() -> Result<()> {
    let platform = platform()?;
    let ready = platform.ready();
    let phone = peer(&platform)?;
    let two = "Contact: <sip:desk@127.0.0.1:5999>, <sip:sofa@127.0.0.1:5998>;expires=300";
    let answer = phone.register(ready, "alice", &[two, "Expires: 600"])?;
    let listed: Vec<&str> = answer.all("Contact").flat_map(|v| v.split(',')).collect();
    assert_eq!(listed.len(), 2, "{answer:?}");
    assert!(
        listed
            .iter()
            .any(|c| c.contains("desk") && c.contains("expires=600"))
    );
    assert!(
        listed
            .iter()
            .any(|c| c.contains("sofa") && c.contains("expires=300"))
    );

    let gone = "Contact: <sip:desk@127.0.0.1:5999>;expires=0";
    let answer = phone.register(ready, "alice", &[gone])?;
    assert!(!format!("{answer:?}").contains("desk"), "{answer:?}");
    assert_eq!(platform.registrations().len(), 1);

    let star = phone.register(ready, "alice", &["Contact: *", "Expires: 60"])?;
    assert_eq!(star.status(), Some(400), "a star goes with Expires: 0 only");
    let answer = phone.register(ready, "alice", &["Contact: *", "Expires: 0"])?;
    assert_eq!(
        (answer.status(), answer.header("Contact")),
        (Some(200), None)
    );
    assert!(platform.registrations().is_empty());
    Ok(())
}

#[test]
fn a_request_that_overtook_another_changes_nothing() -> Result<()> {
    let platform = platform()?;
    let ready = platform.ready();
    let phone = peer(&platform)?;
    let uri = format!("sip:{}", ready.domain);
    let to = format!("To: <sip:alice@{}>", ready.domain);
    let alice = ready.credentials("alice");
    let send = |cseq: u32, expires: &str| -> Result<Message> {
        let number = format!("CSeq: {cseq} REGISTER");
        let lines = [to.as_str(), "Call-ID: order", &number, expires];
        let first = phone.request("REGISTER", &uri, &lines, "");
        phone.send(&first)?;
        let refusal = phone.expect_status(401, "REGISTER");
        let lines = [to.as_str(), expires];
        phone.send(phone.answer_challenge(&alice, &first, &refusal, &lines, ""))?;
        // The verification of the new contact may come in between.
        Ok(phone.expect("an answer", |m| m.status().is_some_and(|s| s != 401)))
    };
    assert_eq!(send(50, "Expires: 600")?.status(), Some(200));
    let late = send(10, "Expires: 0")?;
    assert!(matches!(late.status(), Some(400 | 500)), "{late:?}");
    assert_eq!(platform.registrations().len(), 1);
    Ok(())
}

#[test]
fn a_call_follows_the_path_of_a_registration() -> Result<()> {
    let platform = platform()?;
    let ready = platform.ready();
    let edge = peer(&platform)?;
    let path = format!("Path: <sip:{};lr>", edge.address());
    let contact = "Contact: <sip:alice@10.1.2.3:5060>";
    let lines = [contact, path.as_str(), "Supported: path", "Expires: 600"];
    let answer = edge.register(ready, "alice", &lines)?;
    assert_eq!(answer.status(), Some(200));
    assert_eq!(answer.header("Path"), path.strip_prefix("Path: "));
    edge.answer_options()?;
    wait_for("a routable registration", || {
        platform
            .registrations()
            .iter()
            .any(|r| r["routable"] == true)
            .then_some(())
    });
    let (bob, _) = platform.call("bob", "alice")?;
    let invite = edge.expect_request("INVITE");
    assert_eq!(invite.start, "INVITE sip:alice@10.1.2.3:5060 SIP/2.0");
    let route = invite.header("Route").unwrap_or_default();
    assert!(route.contains(&edge.address().to_string()), "{invite:?}");
    edge.send(edge.response(&invite, "486 Busy Here", "e", &[], ""))?;
    bob.expect_status(486, "INVITE");
    Ok(())
}

#[test]
fn a_gruu_is_given_when_asked_for() -> Result<()> {
    let platform = platform()?;
    let phone = peer(&platform)?;
    let contact = format!(
        "Contact: <sip:alice@{}>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"",
        phone.address()
    );
    let plain = phone.register(platform.ready(), "alice", &[&contact])?;
    assert!(!format!("{plain:?}").contains("gruu"), "{plain:?}");
    let asked = phone.register(platform.ready(), "alice", &[&contact, "Supported: gruu"])?;
    let listed = asked.header("Contact").unwrap_or_default();
    for name in ["pub-gruu=", "temp-gruu="] {
        assert!(listed.contains(name), "{asked:?}");
    }
    Ok(())
}

#[test]
fn a_phone_behind_nat_is_called_at_the_address_it_came_from() -> Result<()> {
    let platform = platform()?;
    let phone = peer(&platform)?;
    let private = "Contact: <sip:alice@192.168.7.7:5060>";
    phone.register(platform.ready(), "alice", &[private, "Expires: 600"])?;
    phone.answer_options()?;
    wait_for("a routable registration", || {
        (platform.registrations()[0]["routable"] == true).then_some(())
    });
    let (bob, _) = platform.call("bob", "alice")?;
    let invite = phone.expect_request("INVITE");
    assert!(invite.start.contains("192.168.7.7"), "{invite:?}");
    phone.send(phone.response(&invite, "486 Busy Here", "p", &[], ""))?;
    bob.expect_status(486, "INVITE");
    Ok(())
}

#[test]
fn a_contact_that_does_not_answer_is_never_called_and_removed() -> Result<()> {
    let platform = platform()?;
    let spoofed = peer(&platform)?;
    spoofed.register(platform.ready(), "alice", &["Expires: 600"])?;
    spoofed.expect_request("OPTIONS");
    assert_eq!(platform.registrations()[0]["routable"], false);
    let (bob, invite) = platform.call("bob", "alice")?;
    let unavailable = bob.expect_status(480, "INVITE");
    bob.send(bob.ack(&invite, &unavailable))?;
    wait_for_within(Duration::from_secs(60), "its removal", || {
        let all = platform.registrations();
        assert!(all.iter().all(|r| r["routable"] == false), "{all:?}");
        all.is_empty().then_some(())
    });
    assert!(spoofed.stays_silent(Duration::from_millis(1), |m| m.method() == "INVITE"));
    Ok(())
}

#[test]
fn a_dead_phone_is_found_by_keep_alives() -> Result<()> {
    let platform = platform()?;
    let settings = json!({ "keep_alive_interval_s": 5 });
    platform.rest().change("/v1/settings", &settings)?;
    let phone = peer(&platform)?;
    phone.register_routable(&platform, "alice")?;
    phone.answer_options()?;
    wait_for("a measured round trip", || {
        let rtt_us = platform.registrations()[0]["rtt_us"].as_u64()?;
        assert!(rtt_us < 5_000_000, "{rtt_us}");
        Some(())
    });
    let patience = Duration::from_secs(60);
    wait_for_within(patience, "the removal of the silent contact", || {
        platform.registrations().is_empty().then_some(())
    });
    Ok(())
}

#[test]
fn an_operator_removes_a_registration() -> Result<()> {
    let platform = platform()?;
    let phone = peer(&platform)?;
    phone.register_routable(&platform, "alice")?;
    let run = |words: &[&str]| platform.command_line(words);
    let listed = run(&["registration", "list", "-o", "json"])?;
    let listed: Value = serde_json::from_str(&listed.stdout)?;
    let first = listed.get(0).unwrap_or(&listed["items"][0]);
    let id = first["id"].as_str().unwrap_or_default();
    assert_eq!(run(&["registration", "remove", "--yes", id])?.code, 0);
    assert!(platform.registrations().is_empty());
    assert_ne!(run(&["registration", "remove", "--yes", id])?.code, 0);
    Ok(())
}
