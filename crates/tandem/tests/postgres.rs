//! Records and CDRs in a real PostgreSQL, which may be killed at any moment.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use testkit::{GatewaySpec, Peer, Platform, PlatformOptions, PostgresServer, Sipp, wait_for};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");

fn on(url: &str) -> PlatformOptions {
    PlatformOptions::new(BINARY)
        .argument("--store")
        .argument(url)
}

/// Calls by sipp's clients pass through to this server of sipp's.
fn route_to(platform: &Platform, callee: &Sipp) -> Result<()> {
    let rest = platform.rest();
    rest.change("/v1/settings", &json!({ "media": "bypass" }))?;
    rest.add_customer("127.0.0.1/32", &json!({}))?;
    let gateway = GatewaySpec::at(callee.address());
    rest.add_carrier("", &[gateway], &json!({})).map(|_| ())
}

fn caller(calls: u32) -> Result<Sipp> {
    let sipp = Sipp::new("uac")?.service("493012345").set("TALK_MS", "50");
    Ok(sipp.calls(calls, 50, calls))
}

#[track_caller]
fn wait_for_cdrs(platform: &Platform, count: usize) -> Vec<Value> {
    wait_for(&format!("{count} CDRs"), || {
        let all = platform.rest().list("/v1/cdrs?limit=500").ok()?;
        assert!(all.len() <= count, "{} CDRs, not {count}", all.len());
        (all.len() == count).then_some(all)
    })
}

fn names(platform: &Platform, path: &str, field: &str) -> Result<Vec<String>> {
    let records = platform.rest().list(path)?;
    let mut names: Vec<String> = records.iter().map(|r| r[field].to_string()).collect();
    names.sort();
    Ok(names)
}

fn is_there(platform: &Platform, file: &str) -> bool {
    Path::new(&platform.data()).join(file).exists()
}

#[test]
fn a_platform_keeps_everything_in_postgresql() -> Result<()> {
    let server = PostgresServer::start()?;
    let mut platform = on(&server.url()).start()?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    route_to(&platform, &callee)?;
    let account = platform.rest().account()?;
    let carol = json!({ "account": account, "name": "carol", "password": "carol's own secret" });
    platform.rest().create("/v1/users", &carol)?;
    let phone = Peer::new(platform.ready().sip.udp)?;
    phone.register_routable(&platform, "alice")?;
    caller(20)?.run(platform.ready().sip.udp)?;
    wait_for_cdrs(&platform, 20);
    let all = |platform: &Platform| -> Result<[Vec<String>; 3]> {
        Ok([
            names(platform, "/v1/users", "name")?,
            names(platform, "/v1/cdrs?limit=500", "call")?,
            names(platform, "/v1/audit", "revision")?,
        ])
    };
    let (before, ready) = (all(&platform)?, platform.ready().clone());
    assert!(!is_there(&platform, "tandem.db"));
    assert_eq!(server.sql("SELECT count(*) FROM cdr"), "20");
    platform.restart()?;
    assert_eq!(all(&platform)?, before);
    assert_eq!(platform.ready().token, ready.token);
    assert_eq!(platform.ready().users.len(), 2, "their passwords are known");
    assert_eq!(platform.registrations().len(), 1);
    Ok(())
}

#[test]
fn calls_go_on_while_postgresql_is_dead_and_no_cdr_is_lost() -> Result<()> {
    let mut server = PostgresServer::start()?;
    let mut platform = on(&server.url()).start()?;
    let callee = Sipp::new("uas")?.calls(10_000, 100, 10_000).start()?;
    route_to(&platform, &callee)?;
    // Killed and back again while calls come, twice.
    let callers = caller(400)?.start_towards(platform.ready().sip.udp)?;
    for _ in 0..2 {
        wait_for("some calls", || {
            let made = server.sql("SELECT count(*) FROM cdr");
            (made != "0").then_some(())
        });
        server.go();
        let refused = platform.rest().send("GET", "/v1/users", None)?;
        assert_eq!(refused.0, 503, "{}", refused.1);
        // Whoever was let in before still sees the calls.
        let seen = platform.rest().send("GET", "/v1/calls", None)?;
        assert_eq!(seen.0, 200, "{}", seen.1);
        server.come()?;
    }
    let counts = callers.finish()?;
    assert_eq!(counts.succeeded, 400);
    wait_for_cdrs(&platform, 400);

    // A node that starts while it is dead works with what it knew.
    server.go();
    platform.restart()?;
    caller(30)?.run(platform.ready().sip.udp)?;
    server.come()?;
    wait_for_cdrs(&platform, 430);
    Ok(())
}

#[test]
fn a_node_that_never_saw_its_database_says_so_and_ends() -> Result<()> {
    let port = testkit::ports::one();
    let started = on(&format!("postgres://u:geheim@127.0.0.1:{port}/x")).start();
    let text = format!("{:#}", started.expect_err("it cannot start"));
    assert!(text.contains("refused"), "{text}");
    assert!(!text.contains("geheim"), "{text}");
    Ok(())
}

#[test]
fn two_nodes_of_one_database_know_what_either_is_told() -> Result<()> {
    let server = PostgresServer::start()?;
    let first = on(&server.url()).start()?;
    let key = std::fs::read(first.data().join("cluster.key"))?;
    let second = on(&server.url()).data_file("cluster.key", &key).start()?;
    assert_eq!(second.rest().list("/v1/users")?.len(), 2, "made once");
    let callee = Sipp::new("uas")?.calls(100, 50, 100).start()?;
    route_to(&first, &callee)?;
    wait_for("the route on the other node", || {
        let query = json!({ "called": "493012345", "source": "127.0.0.1" });
        let (status, simulated) = second
            .rest()
            .send("POST", "/v1/routes/simulate", Some(&query))
            .ok()?;
        (status == 200 && simulated["targets"].as_array()?.len() == 1).then_some(())
    });
    for node in [&first, &second] {
        caller(10)?.run(node.ready().sip.udp)?;
    }
    for node in [&first, &second] {
        wait_for_cdrs(node, 20);
    }
    Ok(())
}

#[test]
fn an_installation_moves_from_its_directory_to_postgresql() -> Result<()> {
    let server = PostgresServer::start()?;
    let mut platform = Platform::start(BINARY)?;
    let callee = Sipp::new("uas")?.calls(1_000, 100, 1_000).start()?;
    route_to(&platform, &callee)?;
    caller(20)?.run(platform.ready().sip.udp)?;
    wait_for_cdrs(&platform, 20);
    let url = server.url();
    let words = ["store", "migrate", "--to", &url];
    let running = platform.command_line(&words)?;
    assert_eq!(running.code, 1, "{}", running.stdout);
    assert!(
        running.stderr.contains("must be stopped"),
        "{}",
        running.stderr
    );
    let users = platform.rest().list("/v1/users")?;
    let (audit, ready) = (platform.rest().list("/v1/audit")?, platform.ready().clone());
    platform.program_mut().terminate()?;
    for _ in 0..2 {
        let moved = platform.command_line(&["-o", "json", "store", "migrate", "--to", &url])?;
        assert_eq!(moved.code, 0, "{}", moved.stderr);
        let counts: Value = serde_json::from_str(&moved.stdout)?;
        let counts = counts.get(0).unwrap_or(&counts);
        assert_eq!(counts["cdrs"], 20, "{}", moved.stdout);
    }
    let alone = platform.command_line(&["up", "--sip-port", "0", "--http-port", "0"])?;
    assert_eq!(alone.code, 1, "{}", alone.stdout);
    assert!(alone.stderr.contains("--store"), "{}", alone.stderr);

    platform.add_argument("--store");
    platform.add_argument(&url);
    platform.restart()?;
    assert_eq!(platform.ready().token, ready.token);
    assert_eq!(platform.rest().list("/v1/users")?, users);
    assert_eq!(platform.rest().list("/v1/audit")?, audit);
    caller(10)?.run(platform.ready().sip.udp)?;
    wait_for_cdrs(&platform, 30);
    Ok(())
}
