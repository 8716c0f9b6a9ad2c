//! Redis and PostgreSQL over TLS, with an authority of one's own.

use anyhow::Result;
use testkit::{Authority, Platform, PlatformOptions, PostgresServer, RedisServer, wait_for};

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
