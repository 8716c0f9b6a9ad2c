//! What strangers cannot do.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{
    Credentials, GatewaySpec, Message, Peer, Platform, StreamPeer, record_path, session, wait_for,
};

fn platform() -> Result<Platform> {
    Platform::start(env!("CARGO_BIN_EXE_tandem"))
}

fn peer(platform: &Platform) -> Result<Peer> {
    Peer::new(platform.ready().sip.udp)
}

/// A message without what differs from one to the next: Via, Call-ID, tags, nonces, ports.
fn faceless(message: &Message, peer: &Peer, name: &str) -> String {
    let port = peer.address().port().to_string();
    let text = format!("{message:?}")
        .replace(&port, "PORT")
        .replace(name, "NAME");
    let is_ours = |line: &&str| !line.starts_with("Via:") && !line.starts_with("Call-ID:");
    let lines = text.lines().filter(is_ours).map(|line| {
        let tagged = line.split_once(";tag=").map_or(line, |(before, _)| before);
        match tagged.split_once("nonce=\"") {
            Some((before, after)) => {
                let rest = after.split_once('"').unwrap_or_default().1;
                format!("{before}nonce{rest}")
            }
            None => tagged.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The answer to a REGISTER, or INVITE, with a wrong password.
fn refused_answer(platform: &Platform, method: &str, name: &str) -> Result<String> {
    let stranger = peer(platform)?;
    let wrong = Credentials {
        username: name.to_owned(),
        password: "guess".to_owned(),
    };
    let domain = &platform.ready().domain;
    let to = format!("To: <sip:{name}@{domain}>");
    let uri = match method {
        "REGISTER" => format!("sip:{domain}"),
        _ => format!("sip:bob@{domain}"),
    };
    stranger.send_with_digest(&wrong, method, &uri, &[&to], "")?;
    let answer = stranger.expect("an answer", |m| m.status().is_some_and(|s| s >= 200));
    Ok(faceless(&answer, &stranger, name))
}

#[test]
fn an_unknown_user_looks_like_a_wrong_password() -> Result<()> {
    let platform = platform()?;
    for method in ["REGISTER", "INVITE"] {
        let known = refused_answer(&platform, method, "alice")?;
        let unknown = refused_answer(&platform, method, "nobod")?;
        assert_eq!(known, unknown);
    }
    Ok(())
}

#[test]
fn a_recorded_authorization_cannot_be_used_again() -> Result<()> {
    let platform = platform()?;
    let ready = platform.ready();
    let phone = peer(&platform)?;
    let uri = format!("sip:{}", ready.domain);
    let to = format!("To: <sip:alice@{}>", ready.domain);
    let alice = ready.credentials("alice");
    let sent = phone.send_with_digest(&alice, "REGISTER", &uri, &[&to], "")?;
    phone.expect_status(200, "REGISTER");

    let thief = peer(&platform)?;
    let sent = Message::parse(&sent).expect("we built it");
    let stolen = format!(
        "Authorization: {}",
        sent.header("Authorization").unwrap_or_default()
    );
    thief.send(thief.request("REGISTER", &uri, &[&to, &stolen], ""))?;
    let answer = thief.expect("an answer", |m| m.status().is_some());
    assert_eq!(answer.status(), Some(401), "{answer:?}");
    assert_eq!(platform.rest().list("/v1/registrations")?.len(), 1);
    let page = platform.rest().send("GET", "/metrics", None)?.1;
    let counted = "tandem_auth_failures_total{reason=\"replayed\"} 1";
    assert!(
        page.as_str().unwrap_or_default().contains(counted),
        "{page}"
    );
    Ok(())
}

#[test]
fn guessing_is_banned_until_an_operator_lifts_it() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    for _ in 0..20 {
        refused_answer(&platform, "REGISTER", "alice")?;
    }
    let bans = rest.list("/v1/bans")?;
    assert_eq!(bans.len(), 1, "{bans:?}");
    assert_eq!(bans[0]["address"], "127.0.0.1");
    let banned = peer(&platform)?;
    let options = banned.request("OPTIONS", "sip:127.0.0.1", &[], "");
    banned.send(&options)?;
    assert!(!banned.answers_soon());
    rest.remove("/v1/bans/127.0.0.1")?;
    banned.send(&options)?;
    banned.expect_status(200, "OPTIONS");
    Ok(())
}

#[test]
fn nobody_gets_a_customer_banned() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    for _ in 0..25 {
        refused_answer(&platform, "REGISTER", "alice")?;
    }
    assert!(rest.list("/v1/bans")?.is_empty());
    Ok(())
}

#[test]
fn nobody_gets_another_address_banned() -> Result<()> {
    let platform = platform()?;
    let udp = platform.ready().sip.udp;
    let thief = peer(&platform)?;
    let (uri, to) = (
        format!("sip:{}", platform.ready().domain),
        format!("To: <sip:alice@{}>", platform.ready().domain),
    );
    let first = thief.request("REGISTER", &uri, &[&to], "");
    thief.send(&first)?;
    let challenge = thief.expect_status(401, "REGISTER");
    // Stands for datagrams of the thief with the victim's address as their source.
    let victim = Peer::bound("127.0.0.2:0", udp)?;
    let wrong = Credentials {
        username: "alice".to_owned(),
        password: "guess".to_owned(),
    };
    for _ in 0..30 {
        victim.send(victim.answer_challenge(&wrong, &first, &challenge, &[&to], ""))?;
        let answer = victim.expect_status(401, "REGISTER");
        let again = answer.header("WWW-Authenticate").unwrap_or_default();
        assert!(!again.contains("stale"), "{again}");
    }
    let agent = "User-Agent: friendly-scanner";
    victim.send(victim.request("OPTIONS", "sip:100@127.0.0.1", &[agent], ""))?;
    assert!(!victim.answers_soon());
    assert!(platform.rest().list("/v1/bans")?.is_empty());
    // A phone that has moved since it was challenged is asked once more, and is in.
    let alice = platform.ready().credentials("alice");
    victim.send(victim.answer_challenge(&alice, &first, &challenge, &[&to], ""))?;
    let answer = victim.expect_status(401, "REGISTER");
    let again = answer.header("WWW-Authenticate").unwrap_or_default();
    assert!(again.contains("stale=true"), "{again}");
    victim.send(victim.answer_challenge(&alice, &first, &answer, &[&to], ""))?;
    victim.expect_status(200, "REGISTER");
    Ok(())
}

#[test]
fn a_scanner_gets_no_answer_and_is_banned_where_it_is_known_to_be_itself() -> Result<()> {
    let platform = platform()?;
    let agent = "User-Agent: friendly-scanner";
    let scanner = peer(&platform)?;
    scanner.send(scanner.request("OPTIONS", "sip:100@127.0.0.1", &[agent], ""))?;
    assert!(!scanner.answers_soon());
    assert!(platform.rest().list("/v1/bans")?.is_empty());
    let mut scanner = StreamPeer::tcp(platform.ready().sip.tcp)?;
    let request = scanner.request("OPTIONS", "sip:100@127.0.0.1", &[agent], "");
    scanner.send(request)?;
    wait_for("the ban", || {
        let bans = platform.rest().list("/v1/bans").ok()?;
        (bans.len() == 1).then_some(())
    });
    Ok(())
}

#[test]
fn strangers_are_refused_whatever_they_ask() -> Result<()> {
    let platform = platform()?;
    let domain = platform.ready().domain.clone();
    let phone = peer(&platform)?;
    phone.register_routable(&platform, "alice")?;
    let stranger = peer(&platform)?;
    let uri = format!("sip:alice@{domain}");
    for method in [
        "MESSAGE",
        "INVITE",
        "REFER",
        "BYE",
        "SUBSCRIBE",
        "PUBLISH",
        "NOTIFY",
        "INFO",
        "UPDATE",
    ] {
        for to in [format!("To: <{uri}>"), format!("To: <{uri}>;tag=invented")] {
            let request = stranger.request(method, &uri, &[&to, "Refer-To: <sip:bob@h>"], "");
            stranger.send(&request)?;
            let answer = stranger.expect(method, |m| m.status().is_some_and(|s| s >= 200));
            let status = answer.status().unwrap_or_default();
            assert!(matches!(status, 401 | 405 | 407 | 481 | 489), "{answer:?}");
            if method == "INVITE" {
                stranger.send(stranger.ack(&request, &answer))?;
            }
        }
    }
    let heard = |m: &Message| m.method() != "OPTIONS";
    assert!(phone.stays_silent(Duration::from_millis(100), heard));
    Ok(())
}

#[test]
fn a_carrier_cannot_reach_another_carrier() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    let (one, other) = (peer(&platform)?, peer(&platform)?);
    for (prefix, gateway) in [("1", &one), ("2", &other)] {
        let spec = GatewaySpec::at(gateway.address());
        rest.add_carrier(prefix, &[spec], &json!({}))?;
    }
    for gateway in rest.list("/v1/gateways")? {
        let path = record_path("gateways", &gateway);
        rest.change(&path, &json!({ "inbound": true }))?;
    }
    let offer = session("127.0.0.1:40000".parse()?);
    let invite = one.request("INVITE", "sip:2030123@127.0.0.1", &[], &offer);
    one.send(&invite)?;
    let answer = one.expect("a refusal", |m| m.status().is_some_and(|s| s >= 200));
    assert!(matches!(answer.status(), Some(403 | 404)), "{answer:?}");
    assert!(!other.answers_soon(), "nothing reaches the other carrier");
    Ok(())
}

#[test]
fn the_api_wants_a_token_and_keeps_to_its_role() -> Result<()> {
    let platform = platform()?;
    let rest = platform.rest();
    for stranger in ["", "tdm_wrong"] {
        let (status, body) = rest.with_token(stranger).send("GET", "/v1/users", None)?;
        assert_eq!(status, 401, "{body}");
    }
    let viewer = rest.create(
        "/v1/tokens",
        &json!({ "name": "wallboard", "role": "viewer" }),
    )?;
    let secret = viewer["token"].as_str().or(viewer["secret"].as_str());
    let viewer = rest.with_token(secret.unwrap_or_default());
    viewer.list("/v1/users")?;
    let user = rest.list("/v1/users")?[0]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let nothing: Option<&Value> = None;
    let body = json!({ "name": "x" });
    for (method, path, body) in [
        ("POST", "/v1/accounts".to_owned(), Some(&body)),
        ("DELETE", format!("/v1/users/{user}"), nothing),
        ("PATCH", "/v1/settings".to_owned(), Some(&body)),
        ("POST", "/v1/tokens".to_owned(), Some(&body)),
    ] {
        let (status, answer) = viewer.send_with(method, &path, &[("If-Match", "*")], body)?;
        assert_eq!(status, 403, "{method} {path}: {answer}");
    }
    Ok(())
}

#[test]
fn guessing_tokens_is_slowed_down() -> Result<()> {
    let platform = platform()?;
    let stranger = platform.rest().with_token("tdm_guess");
    let refused = (0..200).map(|_| stranger.send("GET", "/v1/users", None));
    let slowed = refused.flatten().any(|(status, _)| status == 429);
    assert!(slowed, "200 guesses in a row pass");
    Ok(())
}
