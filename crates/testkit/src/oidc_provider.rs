//! A provider of identities (OpenID Connect), `oidc-provider` from npm (`tests/oidc`), and somebody with a
//! browser that follows where it is sent.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Program;
use crate::wait::wait_for_within;
use crate::{npm, ports};

/// A provider that lets in whom it is told to. It ends with the value.
#[derive(Debug)]
pub struct OidcProvider {
    program: Program,
    wishes: ChildStdin,
    /// The number of the last wish.
    wished: u64,
    port: u16,
    /// Removed last.
    _directory: TempDir,
}

impl OidcProvider {
    /// Starts it with one client, [`OIDC_CLIENT`], that sends browsers back to `redirect` and proves itself
    /// by [`OIDC_SECRET`].
    ///
    /// # Errors
    /// If npm cannot bring it, or it does not start.
    ///
    /// # Panics
    /// If it is not ready in time.
    #[track_caller]
    pub fn start(redirect: &str) -> Result<Self> {
        let home = npm::prepare("oidc")?;
        let directory = tempfile::tempdir().context("a directory for the provider")?;
        let port = ports::one();
        let mut command = Command::new("node");
        command
            .arg(home.join("provider.mjs"))
            .args([&port.to_string(), redirect, OIDC_SECRET])
            .stdin(Stdio::piped());
        let mut program = Program::start_fed("oidc", &mut command, directory.path())?;
        let wishes = program.take_stdin().context("its standard input")?;
        let mut started = Self {
            program,
            wishes,
            wished: 0,
            port,
            _directory: directory,
        };
        started.wait_for("the provider", |event| event["kind"] == "ready")?;
        Ok(started)
    }

    /// What it calls itself.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Signs in somebody with these claims from now on; null: refuses whoever comes.
    ///
    /// # Errors
    /// If it has ended.
    ///
    /// # Panics
    /// If it does not do so in time.
    #[track_caller]
    pub fn signs_in(&mut self, person: &Value) -> Result<()> {
        self.wish(json!({ "person": person }))
    }

    /// Signs with a new key of this algorithm (`ES256`) from now on, and publishes no other.
    ///
    /// # Errors
    /// As [`Self::signs_in`].
    ///
    /// # Panics
    /// As [`Self::signs_in`].
    #[track_caller]
    pub fn changes_keys(&mut self, algorithm: &str) -> Result<()> {
        self.wish(json!({ "keys": algorithm }))
    }

    /// Tells claims in the token from now on, and not by userinfo alone.
    ///
    /// # Errors
    /// As [`Self::signs_in`].
    ///
    /// # Panics
    /// As [`Self::signs_in`].
    #[track_caller]
    pub fn tells_in_tokens(&mut self) -> Result<()> {
        self.wish(json!({ "claims": "token" }))
    }

    #[track_caller]
    fn wish(&mut self, mut wish: Value) -> Result<()> {
        self.wished += 1;
        let number = self.wished;
        wish["number"] = json!(number);
        writeln!(self.wishes, "{wish}").context("telling the provider")?;
        self.wait_for("what the provider was told", |event| {
            event["number"] == number
        })
    }

    #[track_caller]
    fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<()> {
        let program = &mut self.program;
        let happened = wait_for_within(PATIENCE, what, || {
            let log = program.log();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            // It prints warnings besides.
            let mut events = whole
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            match (events.any(|event| wanted(&event)), program.exit_status()) {
                (true, _) => Some(true),
                (false, Some(_)) => Some(false),
                (false, None) => None,
            }
        });
        if !happened {
            bail!("the provider ended:\n{}", program.log_tail());
        }
        Ok(())
    }
}

/// Somebody with a browser that keeps cookies, by host and port; a clone is a copy of it.
#[derive(Clone, Debug)]
pub struct Visitor {
    agent: ureq::Agent,
    cookies: BTreeMap<(String, String), String>,
}

/// What a browser was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// The status.
    pub status: u16,
    /// Where it is sent, as a whole URL.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

impl Default for Visitor {
    fn default() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Self {
            agent: config.into(),
            cookies: BTreeMap::new(),
        }
    }
}

impl Visitor {
    /// Opens a page, and goes nowhere from there.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn visit(&mut self, url: &str) -> Result<Visited> {
        let origin = origin(url)?;
        let shown = self.cookies.iter();
        let shown = shown.filter(|((of, _), _)| *of == origin);
        let shown: Vec<String> = shown
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let request = self.agent.get(url).header("cookie", shown.join("; "));
        let mut answer = request.call().with_context(|| format!("visiting {url}"))?;
        for set in answer.headers().get_all("set-cookie") {
            let set = set.to_str().context("a cookie")?;
            let (name, value) = set
                .split(';')
                .next()
                .unwrap_or("")
                .split_once('=')
                .context("a cookie")?;
            let key = (origin.clone(), name.trim().to_owned());
            match value.is_empty() {
                true => self.cookies.remove(&key),
                false => self.cookies.insert(key, value.to_owned()),
            };
        }
        let location = answer.headers().get("location");
        let location = location
            .map(|to| to.to_str().context("a place to go to"))
            .transpose()?;
        let location = location.map(|to| match to.starts_with('/') {
            true => format!("{origin}{to}"),
            false => to.to_owned(),
        });
        Ok(Visited {
            status: answer.status().as_u16(),
            location,
            body: answer
                .body_mut()
                .read_to_string()
                .context("reading a page")?,
        })
    }

    /// Opens a page and goes where it is sent, until that is a page for which `is_there` holds, which it
    /// does not open; its URL.
    ///
    /// # Errors
    /// If there is no answer, or it is sent nowhere else, or in circles.
    pub fn follow(&mut self, url: &str, is_there: impl Fn(&str) -> bool) -> Result<String> {
        let mut url = url.to_owned();
        for _ in 0..SENT_MAX {
            let visited = self.visit(&url)?;
            let Some(next) = visited.location else {
                bail!("{url} leads nowhere: {} {}", visited.status, visited.body);
            };
            if is_there(&next) {
                return Ok(next);
            }
            url = next;
        }
        bail!("it is sent on and on, to {url} at last")
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> Result<String> {
    let (scheme, rest) = url.split_once("://").context("a URL")?;
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    Ok(format!("{scheme}://{host}"))
}

/// What the provider calls its client.
pub const OIDC_CLIENT: &str = "tandem";
/// What proves the client to it.
pub const OIDC_SECRET: &str = "a secret of tests";
/// How often a browser is sent on.
const SENT_MAX: usize = 10;
/// Node is slow to start beside other tests.
const PATIENCE: Duration = Duration::from_secs(60);
