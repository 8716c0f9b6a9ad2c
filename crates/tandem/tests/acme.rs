//! Certificates from an authority that speaks ACME: ordered, renewed, refused, and looked at before.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{Pebble, Platform, Rest, ports, wait_for_within};

/// How long a certificate is valid that is not to be renewed in a test, in seconds.
const LONG_S: u64 = 90 * 86_400;
/// How long an order may take, and a renewal that is due in ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A platform whose challenges are answered at `port`, and that believes and uses an authority.
fn platform(authority: &Pebble, port: u16) -> Result<Platform> {
    let mut platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let believed = platform.data().join("tls/servers.pem");
    std::fs::write(believed, authority.authority())?;
    platform.restart()?;
    let acme = json!({
        "directory": authority.directory(), "terms_agreed": true, "http_port": port,
        "contact": "night@example.com",
    });
    platform
        .rest()
        .change("/v1/settings", &json!({ "acme": acme }))?;
    Ok(platform)
}

fn order(rest: &Rest, domain: &str) -> Result<String> {
    let source = json!({ "kind": "acme", "domains": [domain] });
    let body = json!({ "name": domain, "source": source, "applied": true });
    let made = rest.create("/v1/certificates", &body)?;
    let id = made["id"].as_str().context("no identifier")?;
    Ok(format!("/v1/certificates/{id}"))
}

/// The certificate as soon as `wanted` finds in it what is waited for.
fn wait_until(rest: &Rest, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for_within(PATIENCE, "the certificate", || {
        rest.read(path).ok().filter(|one| wanted(one))
    })
}

/// What SIP over TLS shows to who asks for no name.
fn shown(platform: &Platform) -> Result<Value> {
    let rows = platform.rest().list("/v1/presented-certificates")?;
    let tls = platform.ready().sip.tls.to_string();
    let row = rows.into_iter().find(|row| row["address"] == tls);
    Ok(row.context("nothing is shown")?["shown"]["fingerprint"].clone())
}

#[test]
fn a_certificate_is_ordered_shown_and_renewed_by_itself() -> Result<()> {
    let port = ports::one();
    // Renewed when a third of it is left.
    let authority = Pebble::start(port, 15)?;
    let platform = platform(&authority, port)?;
    let rest = platform.rest();
    let path = order(&rest, "localhost")?;
    let first = wait_until(&rest, &path, |one| !one["renewal"].is_null());
    assert_eq!(first["renewal"]["error"], Value::Null, "{first}");
    assert_eq!(first["facts"]["names"], json!(["localhost"]));
    let issuer = first["facts"]["issuer"].as_str().unwrap_or("");
    assert!(issuer.contains("Pebble"), "{issuer}");
    let fingerprint = &first["facts"]["fingerprint"];
    assert_eq!(&shown(&platform)?, fingerprint);
    let renewed = wait_until(&rest, &path, |one| {
        one["facts"]["fingerprint"] != *fingerprint
    });
    assert_eq!(shown(&platform)?, renewed["facts"]["fingerprint"]);

    // A key of its own each time, and none of them in what is shown.
    assert!(!renewed.to_string().contains("PRIVATE"), "{renewed}");
    assert!(renewed["secret"].is_null() && renewed["key"].is_null());
    // The port is taken for the challenges alone.
    drop(std::net::TcpListener::bind(("127.0.0.1", port))?);
    Ok(())
}

#[test]
fn all_that_an_authority_says_of_a_failure_is_kept() -> Result<()> {
    let (ours, theirs) = (ports::one(), ports::one());
    // It comes to a port where nobody is.
    let authority = Pebble::start(theirs, LONG_S)?;
    let platform = platform(&authority, ours)?;
    let rest = platform.rest();
    let path = order(&rest, "localhost")?;
    let failed = wait_until(&rest, &path, |one| !one["renewal"].is_null());
    let said = failed["renewal"]["error"].as_str().context("no error")?;
    for part in [
        authority.directory().as_str(),
        "localhost",
        "urn:ietf:params:acme:error:connection",
        "connection refused",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(failed["renewal"]["failures"], 1);
    assert!(failed["facts"].is_null());
    // What is shown meanwhile is what was shown before.
    assert!(shown(&platform)?.is_string());

    // The operator sees it, mends it, and does not wait for the next attempt.
    let listed = platform.command_line(&["certificate", "show", "localhost"])?;
    assert!(
        listed.stdout.contains("acme:error:connection"),
        "{}",
        listed.stdout
    );
    let mended = json!({ "acme": { "http_port": theirs } });
    rest.change("/v1/settings", &mended)?;
    let asked = platform.command_line(&["certificate", "renew", "localhost"])?;
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let issued = wait_until(&rest, &path, |one| !one["facts"].is_null());
    assert_eq!(issued["renewal"]["failures"], 0);
    assert_eq!(shown(&platform)?, issued["facts"]["fingerprint"]);
    Ok(())
}

#[test]
fn names_are_looked_at_before_an_authority_is_asked() -> Result<()> {
    let port = ports::one();
    let authority = Pebble::start(port, LONG_S)?;
    let platform = platform(&authority, port)?;
    let rest = platform.rest();
    let check = |domain: &str| -> Result<Value> {
        let body = json!({ "domains": [domain] });
        let (status, said) = rest.send("POST", "/v1/certificates/check", Some(&body))?;
        anyhow::ensure!(status == 200, "{status}: {said}");
        Ok(said[0].clone())
    };
    let good = check("localhost")?;
    assert_eq!(good["standing"], "good", "{good}");
    assert_eq!(good["addresses"][0], "127.0.0.1");
    let nowhere = check("nowhere.invalid")?;
    assert_eq!(nowhere["standing"], "wrong");
    let reason = nowhere["reason"].as_str().unwrap_or("");
    assert!(reason.contains("has no address"), "{reason}");
    assert!(reason.contains("leads to 127.0.0.1"), "{reason}");

    // Somebody else has the port.
    let taken = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let busy = check("localhost")?;
    let reason = busy["reason"].as_str().unwrap_or("");
    assert!(reason.contains("cannot listen on 127.0.0.1"), "{reason}");
    drop(taken);

    // The reason stands in the record, and nobody was asked.
    let path = order(&rest, "nowhere.invalid")?;
    let failed = wait_until(&rest, &path, |one| !one["renewal"].is_null());
    let said = failed["renewal"]["error"].as_str().unwrap_or("");
    assert!(
        said.starts_with("no authority was asked: nowhere.invalid"),
        "{said}"
    );
    assert!(
        !authority.log().contains("new-order"),
        "{}",
        authority.log()
    );
    let looked = platform.command_line(&["certificate", "check", "nowhere.invalid"])?;
    assert_eq!(looked.code, 1, "{}", looked.stdout);
    Ok(())
}

#[test]
fn without_an_authority_the_certificate_says_what_is_missing() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    let path = order(&rest, "localhost")?;
    let failed = wait_until(&rest, &path, |one| !one["renewal"].is_null());
    let said = failed["renewal"]["error"].as_str().unwrap_or("");
    assert!(said.contains("acme.directory"), "{said}");
    assert!(said.contains("acme.terms_agreed=true"), "{said}");
    Ok(())
}
