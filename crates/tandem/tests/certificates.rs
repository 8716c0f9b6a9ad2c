//! Certificates that the platform keeps: uploaded, shown, replaced under a call, and seen from outside.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testkit::{
    Authority, Baresip, Pair, PhoneOptions, PhoneTransport, Platform, PlatformOptions, Sipp,
    Tunnel, ports, wait_for,
};

const BOB_HZ: u32 = 1_000;

/// What a socket shows to who asks for a name, or for none, as another's program sees it.
fn shown_at(address: SocketAddr, name: Option<&str>, directory: &Path) -> Result<String> {
    let address = address.to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-showcerts", "-connect", &address]);
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let output = command.stdin(Stdio::null()).output().context("openssl")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let from = said.find(begin).context("nothing was shown")?;
    let to = said.find(end).context("nothing was shown")? + end.len();
    let pem = directory.join("shown.pem");
    std::fs::write(&pem, &said[from..to])?;
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&pem)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, digits) = said.trim().split_once('=').context("no fingerprint")?;
    Ok(digits.replace(':', "").to_lowercase())
}

fn upload(platform: &Platform, name: &str, pair: &Pair, more: &Value) -> Result<Value> {
    let mut body = json!({ "name": name, "chain": pair.certificate, "key": pair.key });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    platform.rest().create("/v1/certificates", &body)
}

fn fingerprint(certificate: &Value) -> &str {
    certificate["facts"]["fingerprint"]
        .as_str()
        .unwrap_or("none")
}

#[test]
fn a_certificate_is_replaced_under_a_call_over_tls() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut options = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"));
    let https = ports::one();
    options = options
        .argument("--https-port")
        .argument(&https.to_string());
    let platform = options.start()?;
    let (ready, rest) = (platform.ready(), platform.rest());
    let authority = Authority::new("operator")?;
    let first = authority.issue(&["sip.operator.example"])?;
    let kept = upload(&platform, "sip", &first, &json!({ "applied": true }))?;
    let tls = ready.sip.tls;
    assert_eq!(shown_at(tls, None, scratch.path())?, fingerprint(&kept));

    let alice = PhoneOptions::new("alice", &ready.domain).password(&ready.user("alice").password);
    let mut alice = Baresip::register(alice.server(tls, PhoneTransport::Tls))?;
    let mut bob = Baresip::register(platform.phone("bob", BOB_HZ))?;
    platform.wait_for_routable(2);
    alice.dial(&format!("sip:bob@{}", ready.domain))?;
    bob.wait_for_incoming();
    bob.answer()?;
    alice.wait_for_established();
    alice.wait_for_tone(BOB_HZ);
    let connections = || -> Result<u64> {
        let listeners = rest.list("/v1/listeners")?;
        let tls = listeners
            .iter()
            .find(|one| one["address"] == tls.to_string());
        Ok(tls.and_then(|one| one["connections"].as_u64()).unwrap_or(0))
    };
    let before = connections()?;

    // The renewed one, and its key with it.
    let second = authority.issue(&["sip.operator.example"])?;
    let path = format!("/v1/certificates/{}", kept["id"].as_str().context("no id")?);
    let patch = json!({ "chain": second.certificate, "key": second.key });
    let renewed = rest.change(&path, &patch)?;
    assert_ne!(fingerprint(&renewed), fingerprint(&kept));
    let https = SocketAddr::from(([127, 0, 0, 1], https));
    for address in [tls, ready.sip.wss, https] {
        let shown = shown_at(address, None, scratch.path())?;
        assert_eq!(shown, fingerprint(&renewed), "{address}");
    }

    // The call has gone on over the connection that it had, and ends over it.
    assert_eq!(connections()?, before);
    alice.wait_for_tone(BOB_HZ);
    assert!(!alice.log().contains("reconnect"), "{}", alice.log());
    alice.hang_up()?;
    bob.wait_for_closed();
    platform.wait_until_idle();
    assert_eq!(connections()?, before);

    // What is withdrawn is shown no more.
    rest.change(&path, &json!({ "applied": false }))?;
    assert_ne!(shown_at(tls, None, scratch.path())?, fingerprint(&renewed));
    Ok(())
}

#[test]
fn each_socket_shows_what_the_platform_says_it_shows() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let rest = platform.rest();
    let authority = Authority::new("operator")?;
    let names = [platform.ready().domain.as_str(), "sip.customer.example"];
    for (name, host) in ["own", "customer"].iter().zip(names) {
        let pair = authority.issue(&[host])?;
        upload(&platform, name, &pair, &json!({ "applied": true }))?;
    }
    let rows = rest.list("/v1/presented-certificates")?;
    let tls = platform.ready().sip.tls;
    for asked in [None, Some(names[0]), Some(names[1])] {
        let row = rows
            .iter()
            .find(|row| row["address"] == tls.to_string() && row["server_name"].as_str() == asked);
        let row = row.with_context(|| format!("nothing of {asked:?}: {rows:?}"))?;
        let seen = shown_at(tls, asked, scratch.path())?;
        assert_eq!(row["shown"]["fingerprint"], seen, "{asked:?}");
        let kept = row["certificate"]
            .as_str()
            .context("none of the kept ones")?;
        let kept = rest.read(&format!("/v1/certificates/{kept}"))?;
        assert_eq!(fingerprint(&kept), seen, "{asked:?}");
        let expected = asked.unwrap_or(names[0]);
        assert_eq!(kept["facts"]["names"], json!([expected]));
    }
    let transports: Vec<_> = rows.iter().map(|row| &row["transport"]).collect();
    assert!(transports.contains(&&json!("wss")), "{transports:?}");

    // It outlives a restart, and a key in the store is not in clear.
    let mut platform = platform;
    platform.restart()?;
    assert_eq!(platform.rest().list("/v1/presented-certificates")?, rows);
    let listed = platform.command_line(&["certificate", "presented"])?;
    assert!(
        listed.stdout.contains("sip.customer.example"),
        "{}",
        listed.stdout
    );
    for file in ["tandem.db", "tandem.db-wal"] {
        let bytes = std::fs::read(platform.data().join(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("PRIVATE KEY"), "{file}");
    }
    Ok(())
}

#[test]
fn a_pair_that_cannot_be_used_is_refused_with_what_to_do() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let authority = Authority::new("operator")?;
    let (one, other) = (
        authority.issue(&["a.example"])?,
        authority.issue(&["b.example"])?,
    );
    let directory = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = directory.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (chain, key) = (
        file("chain.pem", &one.certificate)?,
        file("key.pem", &one.key)?,
    );
    let wrong = file("wrong.pem", &other.key)?;
    let upload = |key: &str| {
        let words = [
            "certificate",
            "upload",
            "a",
            "--chain",
            &chain,
            "--key",
            key,
        ];
        platform.command_line(&words)
    };
    let refused = upload(&wrong)?;
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let said = &refused.stderr;
    assert!(
        said.contains("send the one that it was requested with"),
        "{said}"
    );
    let taken = upload(&key)?;
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    assert!(!taken.stdout.contains("PRIVATE"), "{}", taken.stdout);

    // A renewal with the key there is has to fit it.
    let chain = file("chain.pem", &other.certificate)?;
    let refused = platform.command_line(&["certificate", "upload", "a", "--chain", &chain])?;
    let said = &refused.stderr;
    assert!(said.contains("send its own, too"), "{said}");

    let listed = platform.command_line(&["certificate", "list"])?;
    assert!(listed.stdout.contains("a.example"), "{}", listed.stdout);
    let log = platform.command_line(&["audit", "list", "-o", "json"])?;
    assert!(log.stdout.contains("\"certificate\""), "{}", log.stdout);
    assert!(!log.stdout.contains("PRIVATE KEY"), "the log has a key");
    assert!(!log.stdout.contains("v1:"), "the log has a sealed key");
    Ok(())
}

#[test]
fn a_client_certificate_is_shown_to_a_gateway_that_demands_one() -> Result<()> {
    let authority = Authority::new("carriers")?;
    let mut platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let believed = platform.data().join("tls/servers.pem");
    std::fs::write(believed, authority.certificate())?;
    platform.restart()?;
    let callee = Sipp::new("uas")?.over_tcp().start()?;
    let tunnel = Tunnel::demanding(
        callee.address(),
        &authority.issue(&["127.0.0.1"])?,
        &authority,
    )?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let carrier = rest.create("/v1/carriers", &json!({ "name": "carrier" }))?;
    let gateway = json!({
        "carrier": carrier["id"], "name": "gateway", "host": "127.0.0.1",
        "port": tunnel.address().port(), "transport": "tls",
    });
    rest.create("/v1/gateways", &gateway)?;
    let route = json!({ "prefix": "", "carrier": carrier["id"] });
    rest.create("/v1/routes", &route)?;
    // The connection ends without a word of SIP when no certificate comes.
    let call = |platform: &Platform, scenario: &str| {
        let caller = Sipp::new(scenario)?
            .service("493012345")
            .set("STATUS", "408");
        caller.run(platform.ready().sip.udp)
    };
    // What we show those who connect to us is of no authority that it knows.
    call(&platform, "uac_refused")?;
    let pair = authority.issue(&["sip.example"])?;
    upload(
        &platform,
        "towards",
        &pair,
        &json!({ "kind": "client", "applied": true }),
    )?;
    // The gateway counts as silent until then.
    platform.restart()?;
    call(&platform, "uac")?;
    callee.finish()?;
    // It is for that alone.
    let shown = platform.rest().list("/v1/presented-certificates")?;
    let ours = shown.iter().all(|row| row["certificate"].is_null());
    assert!(ours, "{shown:?}");
    Ok(())
}

#[test]
fn a_joined_node_shows_what_control_has_for_it_and_has_no_key_in_clear() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_tandem");
    let scratch = tempfile::tempdir()?;
    let port = ports::one().to_string();
    let control = PlatformOptions::new(binary)
        .argument("--node-port")
        .argument(&port)
        .start()?;
    let made = control.command_line(&["-o", "json", "node", "token", "--name", "berlin"])?;
    let made: Value = serde_json::from_str(&made.stdout)?;
    let token = made["token"].as_str().context("no token")?;
    let joined = Command::new(binary)
        .arg("--data")
        .arg(scratch.path())
        .args(["node", "join", &format!("127.0.0.1:{port}"), token])
        .output()?;
    assert!(joined.status.success(), "{joined:?}");
    let mut options = PlatformOptions::new(binary);
    for name in ["node.json", "snapshot.json", "cluster.key"] {
        options = options.data_file(name, &std::fs::read(scratch.path().join(name))?);
    }
    let node = options.start()?;

    let servers = control.rest().list("/v1/servers")?;
    let berlin = servers.iter().find(|server| server["name"] == "berlin");
    let berlin = &berlin.context("no server")?["id"];
    let pair = Authority::new("operator")?.issue(&["sip.berlin.example"])?;
    let there = json!({ "applied": true, "servers": [berlin] });
    let kept = upload(&control, "berlin", &pair, &there)?;
    wait_for("the node to show it", || {
        let shown = shown_at(node.ready().sip.tls, None, scratch.path()).ok()?;
        (shown == fingerprint(&kept)).then_some(())
    });
    let elsewhere = shown_at(control.ready().sip.tls, None, scratch.path())?;
    assert_ne!(elsewhere, fingerprint(&kept), "it is for berlin alone");

    let file = node.data().join("snapshot.json");
    let written = wait_for("the configuration on disk", || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.contains("sip.berlin.example").then_some(text)
    });
    assert!(!written.contains("PRIVATE KEY"), "the key is in clear");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file)?);
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    Ok(())
}
