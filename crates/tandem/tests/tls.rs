//! Certificates as peers and operators meet them: by name, of clients, and for the API.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use testkit::{Authority, Platform, PlatformOptions, ports, wait_for};

fn openssl(words: &[&str]) -> Result<String> {
    let output = Command::new("openssl")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .context("starting openssl")?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A self-signed pair for a name: `certificate.pem` and `key.pem` in a directory.
fn make_pair(directory: &Path, name: &str) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = |file: &str| directory.join(file).display().to_string();
    let (subject, names) = (format!("/CN={name}"), format!("subjectAltName=DNS:{name}"));
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        &subject,
        "-addext",
        &names,
        "-keyout",
        &path("key.pem"),
        "-out",
        &path("certificate.pem"),
    ])?;
    ensure!(directory.join("certificate.pem").exists(), "no certificate");
    Ok(())
}

fn read_again(platform: &Platform) -> Result<()> {
    let pid = platform.program().pid().to_string();
    Command::new("kill").args(["-HUP", &pid]).status()?;
    wait_for("the certificates being read again", || {
        let log = platform.program().log();
        log.contains("the certificate was read again").then_some(())
    });
    Ok(())
}

/// Whose certificate is shown to who asks for a name.
fn shown_for(platform: &Platform, name: &str) -> Result<String> {
    let address = platform.ready().sip.tls.to_string();
    let said = openssl(&["s_client", "-connect", &address, "-servername", name])?;
    let subject = said.lines().find(|line| line.starts_with("subject="));
    Ok(subject.unwrap_or_default().replace(' ', ""))
}

#[test]
fn who_asks_for_a_name_is_shown_its_certificate() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    make_pair(
        &platform.data().join("tls/customer"),
        "sip.customer.example",
    )?;
    read_again(&platform)?;
    assert_eq!(
        shown_for(&platform, "sip.customer.example")?,
        "subject=CN=sip.customer.example"
    );
    let domain = &platform.ready().domain;
    for name in [domain, "elsewhere.example"] {
        assert_eq!(shown_for(&platform, name)?, format!("subject=CN={domain}"));
    }
    Ok(())
}

#[test]
fn a_listener_that_demands_certificates_of_clients_refuses_who_has_none() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let address = format!("127.0.0.1:{}", ports::one());
    let add = [
        "listener",
        "add",
        "tls",
        &address,
        "--client-certificates",
        "demanded",
    ];
    let refused = platform.command_line(&add)?;
    assert_ne!(refused.code, 0, "nobody could be believed yet");
    let authority = platform.data().join("authority");
    make_pair(&authority, "gateway.example")?;
    let certificate = authority.join("certificate.pem");
    std::fs::copy(&certificate, platform.data().join("tls/clients.pem"))?;
    read_again(&platform)?;
    let added = platform.command_line(&add)?;
    assert_eq!(added.code, 0, "{}", added.stderr);
    let connect = ["s_client", "-tls1_3", "-ign_eof", "-connect", &address];
    let without = openssl(&connect)?;
    assert!(without.contains("certificate required"), "{without}");
    Ok(())
}

#[test]
fn without_plain_http_commands_ask_over_tls_by_themselves() -> Result<()> {
    let binary = env!("CARGO_BIN_EXE_tandem");
    let port = ports::one().to_string();
    let platform = PlatformOptions::new(binary)
        .argument("--http-port")
        .argument("off")
        .argument("--https-port")
        .argument(&port)
        .start()?;
    let address = format!("https://127.0.0.1:{port}");
    assert_eq!(platform.ready().http, address);
    let listed = platform.command_line(&["user", "list", "-o", "json"])?;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains("alice"), "{}", listed.stdout);

    // A certificate of the operator's own, for a name that no name service has.
    let authority = Authority::new("operator")?;
    let mut pair = authority.issue(&["sip.operator.example"])?;
    pair.certificate += &authority.certificate();
    pair.write(&platform.data().join("tls"))?;
    read_again(&platform)?;
    let listed = platform.command_line(&["user", "list"])?;
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    let stranger = platform.command_line(&["--addr", &address, "user", "list"])?;
    assert_ne!(stranger.code, 0, "an address given by hand is verified");

    let looked = platform.command_line(&["doctor", "--http-port", "off", "--https-port", &port])?;
    let advice = "commands on this machine ask it over TLS";
    assert!(looked.stdout.contains(advice), "{}", looked.stdout);
    assert!(!looked.stdout.contains("8080"), "{}", looked.stdout);
    Ok(())
}

#[test]
fn without_any_port_for_the_api_nothing_starts() -> Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["up", "--http-port", "off"])
        .output()?;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--https-port"), "{said}");
    Ok(())
}

#[test]
fn the_api_answers_over_tls_to_who_trusts_its_certificate() -> Result<()> {
    let port = ports::one().to_string();
    let platform = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"))
        .argument("--https-port")
        .argument(&port)
        .start()?;
    let address = format!("https://localhost:{port}");
    let token = platform.ready().token.clone();
    let ca = platform.data().join("tls/certificate.pem");
    let ca = ca.display().to_string();
    let ask = [
        "--addr", &address, "--token", &token, "user", "list", "-o", "json",
    ];
    let believed = platform.command_line(&[&["--ca", &ca][..], &ask].concat())?;
    assert_eq!(believed.code, 0, "{}", believed.stderr);
    assert!(believed.stdout.contains("alice"), "{}", believed.stdout);
    let stranger = platform.command_line(&ask)?;
    assert_ne!(stranger.code, 0);
    assert!(
        stranger.stderr.to_lowercase().contains("certificate"),
        "{}",
        stranger.stderr
    );
    Ok(())
}
