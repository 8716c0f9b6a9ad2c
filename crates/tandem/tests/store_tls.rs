//! Redis and PostgreSQL over TLS, with an authority of one's own; and a Redis that will not do.

use anyhow::Result;
use testkit::{
    Authority, Platform, PlatformOptions, PostgresServer, RedisSentinel, RedisServer, wait_for,
};

const BINARY: &str = env!("CARGO_BIN_EXE_tandem");

/// A server's authority, and one that has nothing to do with it.
struct Authorities {
    right: Authority,
    files: tempfile::TempDir,
}

impl Authorities {
    fn new() -> Result<Self> {
        let files = tempfile::tempdir()?;
        let (right, wrong) = (Authority::new("right")?, Authority::new("wrong")?);
        for (name, authority) in [("right", &right), ("wrong", &wrong)] {
            std::fs::write(files.path().join(name), authority.certificate())?;
        }
        Ok(Self { right, files })
    }

    fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }
}

fn live_store_up(platform: &Platform) -> Option<bool> {
    let page = platform.rest().read("/metrics").ok()?;
    let mut lines = page.as_str()?.lines();
    let line = lines.find(|line| line.starts_with("tandem_live_store_up "))?;
    Some(line.ends_with(" 1"))
}

#[test]
fn redis_over_tls_is_believed_if_its_authority_is() -> Result<()> {
    let authorities = Authorities::new()?;
    let redis = RedisServer::start_with_tls(&authorities.right.issue(&["127.0.0.1"])?)?;
    let node = |authority: &str| {
        let options = PlatformOptions::new(BINARY).argument("--live");
        let options = options.argument(&redis.tls_url());
        let options = options.environment("SSL_CERT_FILE", &authorities.file(authority));
        options.start()
    };
    let node_that_knows = node("right")?;
    wait_for("Redis", || live_store_up(&node_that_knows)?.then_some(()));
    let members = redis.ask("HLEN tandem:members")?;
    assert_eq!(members, ":1");
    let other = node("wrong")?;
    wait_for("a word on it", || {
        let log = other.program().log();
        log.contains("the live store is away").then_some(())
    });
    assert_eq!(live_store_up(&other), Some(false));
    assert_eq!(redis.ask("HLEN tandem:members")?, members);
    Ok(())
}

#[test]
fn a_master_under_sentinels_over_tls_is_followed_when_it_moves() -> Result<()> {
    let authorities = Authorities::new()?;
    let mut master = RedisServer::start_among(&authorities.right)?;
    let replica = RedisServer::replica_of(&master)?;
    let sentinel = RedisSentinel::of(&master)?;
    let node = |authority: &str| {
        let options = PlatformOptions::new(BINARY).argument("--live");
        let options = options.argument(&sentinel.tls_url());
        let options = options.environment("SSL_CERT_FILE", &authorities.file(authority));
        options.start()
    };
    let node_that_knows = node("right")?;
    wait_for("Redis", || live_store_up(&node_that_knows)?.then_some(()));
    assert_eq!(master.ask("HLEN tandem:members")?, ":1");
    // Who does not believe the Sentinel does not even ask it.
    let other = node("wrong")?;
    wait_for("a word on it", || {
        let log = other.program().log();
        let word = "the live store is away";
        let mut said = log.lines().filter(|line| line.contains(word));
        said.any(|line| line.contains("certificate")).then_some(())
    });
    assert_eq!(live_store_up(&other), Some(false));

    master.go();
    wait_for("the replica to be the master", || {
        // What it had from the old one goes, so that only a node can have told it anew.
        (replica.ask("FLUSHALL").ok()? == "+OK").then_some(())
    });
    wait_for("the node to have found it", || {
        (replica.ask("HLEN tandem:members").ok()? == ":1").then_some(())
    });
    wait_for("Redis", || live_store_up(&node_that_knows)?.then_some(()));
    Ok(())
}

#[test]
fn a_redis_cluster_is_refused_in_words() -> Result<()> {
    let redis = RedisServer::start_of_cluster()?;
    let options = PlatformOptions::new(BINARY).argument("--live");
    let node = options.argument(&redis.url()).start()?;
    wait_for("a word on it", || {
        let log = node.program().log();
        let word = "Redis Cluster, which is not supported: name a single server";
        log.contains(word).then_some(())
    });
    assert_eq!(live_store_up(&node), Some(false));
    // Alone it works.
    let (peer, _) = node.call("alice", "bob")?;
    peer.expect_status(480, "INVITE");
    Ok(())
}

#[test]
fn postgresql_over_tls_is_believed_if_its_authority_and_name_are_right() -> Result<()> {
    let authorities = Authorities::new()?;
    let pair = authorities.right.issue(&["127.0.0.1"])?;
    let postgres = PostgresServer::start_with_tls(&pair)?;
    let start = |query: &str| {
        let url = format!("{}?{query}", postgres.url());
        let options = PlatformOptions::new(BINARY).argument("--store");
        options.argument(&url).start()
    };
    let verified = |authority: &str| {
        let file = authorities.file(authority);
        start(&format!("sslmode=verify-full&sslrootcert={file}"))
    };
    let _node = verified("right")?;
    let encrypted = "SELECT count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND application_name = 'tandem'";
    assert_eq!(postgres.sql(encrypted), "t");
    assert!(verified("wrong").is_err(), "another authority");
    let refused = start("sslmode=require").map(|_| ());
    let text = format!("{:#}", refused.expect_err("nobody is known"));
    assert!(text.contains("verify-full"), "{text}");
    Ok(())
}
