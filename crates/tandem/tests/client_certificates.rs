//! Who connects over TLS with a certificate is known by it: customers, gateways, users.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::{
    Authority, Baresip, Pair, PhoneOptions, PhoneTransport, Platform, Sipp, Tunnel, ports, wait_for,
};

/// A platform with a listener that asks clients for certificates of an authority.
struct Stage {
    platform: Platform,
    listener: SocketAddr,
    authority: Authority,
}

impl Stage {
    fn new() -> Result<Self> {
        let authority = Authority::new("peers")?;
        let mut platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
        std::fs::write(
            platform.data().join("tls/clients.pem"),
            authority.certificate(),
        )?;
        platform.restart()?;
        let listener = SocketAddr::from(([127, 0, 0, 1], ports::one()));
        let address = listener.to_string();
        let added = platform.command_line(&[
            "listener",
            "add",
            "tls",
            &address,
            "--client-certificates",
            "asked",
        ])?;
        ensure!(added.code == 0, "{}", added.stderr);
        Ok(Self {
            platform,
            listener,
            authority,
        })
    }

    /// A number that whoever may call us reaches the echo at.
    fn add_number(&self) -> Result<()> {
        let rest = self.platform.rest();
        let number = json!({
            "account": rest.account()?, "number": NUMBER, "target": { "kind": "echo" },
        });
        rest.create("/v1/numbers", &number).map(|_| ())
    }

    /// A call over TLS by a caller that shows this certificate.
    fn call(&self, shown: &Pair, scenario: &str, called: &str) -> Result<()> {
        let tunnel = Tunnel::towards(self.listener, shown)?;
        let caller = Sipp::new(scenario)?.service(called).over_tcp();
        caller.set("STATUS", "407").run(tunnel.address())?;
        Ok(())
    }

    fn only_cdr(&self) -> Value {
        wait_for("the CDR", || {
            let cdrs = self.platform.rest().list("/v1/cdrs").ok()?;
            cdrs.into_iter().next()
        })
    }
}

#[test]
fn a_customer_is_known_by_its_certificate() -> Result<()> {
    let stage = Stage::new()?;
    let rest = stage.platform.rest();
    let customer = json!({
        "account": rest.account()?,
        "name": "pbx",
        "auth": { "kind": "certificate", "names": ["sip.pbx.example"] },
    });
    let customer = rest.create("/v1/customers", &customer)?;
    stage.add_number()?;
    // Of another name, of a wildcard, and without any: a stranger, who is to prove who it is.
    for names in [&["sip.other.example"], &["*.pbx.example"]] {
        let stranger = stage.authority.issue(names)?;
        stage.call(&stranger, "uac_refused", NUMBER)?;
    }
    let shown = stage.authority.issue(&["SIP.pbx.example"])?;
    stage.call(&shown, "uac", NUMBER)?;
    let cdr = stage.only_cdr();
    assert_eq!(cdr["customer"], customer["id"], "{cdr}");
    assert_eq!(cdr["outcome"], "answered", "{cdr}");
    Ok(())
}

#[test]
fn a_gateway_is_known_by_a_certificate_for_its_host_name() -> Result<()> {
    let stage = Stage::new()?;
    let rest = stage.platform.rest();
    let carrier = rest.create("/v1/carriers", &json!({ "name": "carrier" }))?;
    let gateway = json!({
        "carrier": carrier["id"],
        "name": "gateway",
        "host": "sip.carrier.example",
        "transport": "tls",
    });
    rest.create("/v1/gateways", &gateway)?;
    stage.add_number()?;
    // RFC 5922 §7.1: a SIP URI comes before the names of domains.
    let shown = stage
        .authority
        .issue(&["other.example", "sip:sip.carrier.example"])?;
    stage.call(&shown, "uac", NUMBER)?;
    let cdr = stage.only_cdr();
    assert_eq!(cdr["carrier"], carrier["id"], "{cdr}");
    Ok(())
}

#[test]
fn a_user_registers_and_calls_by_certificate_and_never_as_another() -> Result<()> {
    let stage = Stage::new()?;
    let ready = stage.platform.ready();
    let domain = &ready.domain;
    let shown = stage.authority.issue(&[&format!("sip:alice@{domain}")])?;
    let phone = |name: &str| {
        PhoneOptions::new(name, domain)
            .password("wrong password")
            .server(stage.listener, PhoneTransport::Tls)
            .certificate(&shown)
    };
    let mut alice = Baresip::register(phone("alice"))?;
    alice.dial(&format!("sip:600@{domain}"))?;
    alice.wait_for_established();
    alice.hang_up()?;
    let cdr = stage.only_cdr();
    let users = stage.platform.rest().list("/v1/users")?;
    let user = users.iter().find(|user| user["name"] == "alice");
    assert_eq!(cdr["from_user"], user.context("no alice")?["id"], "{cdr}");
    let mut bob = Baresip::start(phone("bob"))?;
    bob.wait_for_event("REGISTER_FAIL");
    Ok(())
}

#[test]
fn a_gateway_that_demands_a_certificate_is_shown_ours() -> Result<()> {
    let authority = Authority::new("carriers")?;
    let mut platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let callee = Sipp::new("uas")?.over_tcp().start()?;
    let its_own = authority.issue(&["127.0.0.1"])?;
    let tunnel = Tunnel::demanding(callee.address(), &its_own, &authority)?;
    let rest = platform.rest();
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let carrier = rest.create("/v1/carriers", &json!({ "name": "carrier" }))?;
    let gateway = json!({
        "carrier": carrier["id"],
        "name": "gateway",
        "host": "127.0.0.1",
        "port": tunnel.address().port(),
        "transport": "tls",
    });
    rest.create("/v1/gateways", &gateway)?;
    rest.create(
        "/v1/routes",
        &json!({ "prefix": "", "carrier": carrier["id"] }),
    )?;
    let call = |platform: &Platform, scenario: &str| {
        let caller = Sipp::new(scenario)?
            .service("493012345")
            .set("STATUS", "503");
        caller.run(platform.ready().sip.udp)
    };
    // Neither of us believes the other yet.
    call(&platform, "uac_refused")?;
    let tls = platform.data().join("tls");
    authority.issue(&["sip.example"])?.write(&tls)?;
    std::fs::write(tls.join("servers.pem"), authority.certificate())?;
    platform.restart()?;
    call(&platform, "uac")?;
    callee.finish()?;
    Ok(())
}

const NUMBER: &str = "+4930123";
