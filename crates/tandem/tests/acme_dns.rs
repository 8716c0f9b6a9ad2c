//! Certificates by records of a name server: wildcards, aliases, and keys that it does not take.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{KEY_NAME, NameServer, Pebble, Platform, Rest, ZONE, wait_for, wait_for_within};

/// The key of the name server, and another one.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OTHER_KEY: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
/// How long a certificate is valid that is not to be renewed in a test, in seconds.
const LONG_S: u64 = 90 * 86_400;
/// How long an order may take, and a renewal that is due in some seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A platform that believes and uses an authority, and has this key for a name server.
fn platform(authority: &Pebble, name_server: &NameServer, key: &str) -> Result<Platform> {
    let mut platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let believed = platform.data().join("tls/servers.pem");
    std::fs::write(believed, authority.authority())?;
    platform.restart()?;
    let acme = json!({
        "directory": authority.directory(), "terms_agreed": true,
        "dns": {
            "server": name_server.address().to_string(), "key_name": KEY_NAME,
            "key_secret": key,
        },
    });
    platform
        .rest()
        .change("/v1/settings", &json!({ "acme": acme }))?;
    Ok(platform)
}

fn order(rest: &Rest, domains: &[&str]) -> Result<String> {
    let source = json!({ "kind": "acme", "domains": domains, "challenge": "dns-01" });
    let body = json!({ "name": "wild", "source": source, "applied": true });
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

fn error_of(one: &Value) -> &str {
    one["renewal"]["error"].as_str().unwrap_or("")
}

#[test]
fn a_wildcard_is_ordered_shown_and_renewed_by_itself() -> Result<()> {
    let name_server = NameServer::start(KEY)?;
    // Renewed when a third of it is left.
    let authority = Pebble::asking(name_server.address(), 30)?;
    let platform = platform(&authority, &name_server, KEY)?;
    let rest = platform.rest();
    let wildcard = format!("*.{ZONE}");
    // The first two have their records at one name, the third has an alias.
    let path = order(&rest, &[&wildcard, ZONE, "sip.led.tandem.test"])?;
    let first = wait_until(&rest, &path, |one| !one["renewal"].is_null());
    assert_eq!(first["renewal"]["error"], Value::Null, "{first}");
    let names = first["facts"]["names"].as_array().context("no names")?;
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&json!(wildcard)), "{names:?}");
    let fingerprint = &first["facts"]["fingerprint"];
    let shown = rest.list("/v1/presented-certificates")?;
    let is_it = |row: &Value| row["shown"]["fingerprint"] == *fingerprint;
    assert!(shown.iter().any(is_it), "{shown:?}");

    // Renewed, and between two orders no record is left.
    let renewed = wait_until(&rest, &path, |one| {
        one["facts"]["fingerprint"] != *fingerprint
    });
    assert_eq!(renewed["renewal"]["error"], Value::Null, "{renewed}");
    for name in [
        format!("_acme-challenge.{ZONE}"),
        format!("led.answers.{ZONE}"),
    ] {
        wait_for("no record", || {
            let left = name_server.texts(&name).ok()?;
            left.is_empty().then_some(())
        });
    }
    Ok(())
}

#[test]
fn a_key_that_the_name_server_does_not_take_is_said_with_what_to_do() -> Result<()> {
    let name_server = NameServer::start(KEY)?;
    let authority = Pebble::asking(name_server.address(), LONG_S)?;
    let platform = platform(&authority, &name_server, OTHER_KEY)?;
    let rest = platform.rest();
    let wildcard = format!("*.{ZONE}");
    let path = order(&rest, &[&wildcard])?;
    let failed = wait_until(&rest, &path, |one| !one["renewal"].is_null());
    for part in [
        "no authority was asked",
        ZONE,
        &name_server.address().to_string(),
        KEY_NAME,
        "BADSIG",
        "set acme.dns.key_secret",
    ] {
        assert!(error_of(&failed).contains(part), "{part}: {failed}");
    }
    assert!(
        !authority.log().contains("new-order"),
        "{}",
        authority.log()
    );

    // A key of another name.
    let change = |dns: Value| rest.change("/v1/settings", &json!({ "acme": { "dns": dns } }));
    change(json!({ "key_name": "nobody" }))?;
    let renew = format!("{path}/renew");
    rest.send("POST", &renew, None)?;
    let failed = wait_until(&rest, &path, |one| error_of(one).contains("BADKEY"));
    assert!(
        error_of(&failed).contains("set acme.dns.key_name"),
        "{failed}"
    );

    // Mended, it is issued; and the key is shown nowhere.
    change(json!({ "key_name": KEY_NAME, "key_secret": KEY }))?;
    rest.send("POST", &renew, None)?;
    let issued = wait_until(&rest, &path, |one| !one["facts"].is_null());
    assert_eq!(issued["renewal"]["failures"], 0, "{issued}");
    let settings = rest.read("/v1/settings")?;
    assert_eq!(settings["acme"]["dns"]["key_name"], KEY_NAME);
    assert!(settings["acme"]["dns"]["secret"].is_null(), "{settings}");
    assert!(!settings.to_string().contains(KEY), "{settings}");
    let left = name_server.texts(&format!("_acme-challenge.{ZONE}"))?;
    assert_eq!(left, "");

    // Another change leaves the key as it is.
    change(json!({ "settle_s": 1 }))?;
    rest.send("POST", &renew, None)?;
    let fingerprint = &issued["facts"]["fingerprint"];
    let again = wait_until(&rest, &path, |one| {
        one["facts"]["fingerprint"] != *fingerprint
    });
    assert_eq!(again["renewal"]["error"], Value::Null, "{again}");
    Ok(())
}

#[test]
fn wildcards_by_http_and_keys_that_are_none_are_refused() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    let wildcard = platform.command_line(&[
        "certificate",
        "request",
        "wild",
        "--domain",
        "*.tandem.test",
    ])?;
    assert_ne!(wildcard.code, 0);
    assert!(
        wildcard.stderr.contains("--challenge dns-01"),
        "{}",
        wildcard.stderr
    );
    let key = platform.command_line(&["settings", "set", "acme.dns.key_secret=no-key"])?;
    assert_ne!(key.code, 0);
    assert!(key.stderr.contains("base64"), "{}", key.stderr);

    // Without a name server, the certificate says what is missing.
    let acme = json!({ "directory": "https://acme.invalid/", "terms_agreed": true });
    rest.change("/v1/settings", &json!({ "acme": acme }))?;
    let path = order(&rest, &["*.tandem.test"])?;
    let failed = wait_until(&rest, &path, |one| !one["renewal"].is_null());
    assert!(error_of(&failed).contains("acme.dns.server"), "{failed}");
    Ok(())
}
