//! The platform, set up through its API.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clock::Time;
use model::{Account, AccountId, Forking, LimitSpec, MediaMode, Settings, User, UserId};
use serde_json::{Value, json};
use store::{Actor, Page, Records, Sqlite};
use testkit::{GatewaySpec, Platform, PlatformOptions, RedisServer};

use crate::load::register::{password, user_name};
use crate::peers::SERVER_CPU;
use crate::scenario::Trace;

/// A running platform; ends with the value.
pub(crate) struct Tandem {
    platform: Platform,
    pub(crate) address: SocketAddrV4,
}

/// Whether the audio of calls goes through the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Relay,
    Bypass,
}

impl Tandem {
    /// Starts it on the server's processor; it keeps no SIP messages, as the peers.
    pub(crate) fn start() -> Result<Self> {
        Self::start_traced(Trace::Off)
    }

    /// Starts it there; it keeps SIP messages.
    pub(crate) fn start_traced(trace: Trace) -> Result<Self> {
        let options = options()?.rtp_ports(RTP_FIRST_PORT, RTP_LAST_PORT);
        Self::start_with(options, trace)
    }

    /// Starts a node of a cluster there.
    pub(crate) fn start_node(redis: &RedisServer, first: Option<&Self>) -> Result<Self> {
        let options = live_options(&redis.url())?;
        let Some(first) = first else {
            return Self::start_with(options, Trace::Off);
        };
        let data = first.platform.data();
        let key = std::fs::read(data.join("cluster.key")).context("the key of the cluster")?;
        let mut node = Self::start_with(options.data_file("cluster.key", &key), Trace::Off)?;
        node.platform.kill_9();
        let database = node.platform.data().join(DATABASE);
        for side_file in ["-wal", "-shm"].map(|end| format!("{}{end}", database.display())) {
            // Those of the database that stood there before would be played into the copy.
            if Path::new(&side_file).exists() {
                std::fs::remove_file(&side_file).context("removing an old log")?;
            }
        }
        std::fs::copy(data.join(DATABASE), database).context("copying the users")?;
        node.platform.restart()?;
        Ok(node)
    }

    /// Starts a node there whose live store is at `live`, behind dispatchers on this machine.
    pub(crate) fn start_behind_dispatchers(live: &str) -> Result<Self> {
        let node = Self::start_with(live_options(live)?, Trace::Off)?;
        let settings = json!({ "dispatchers": ["127.0.0.1/32"] });
        node.platform.rest().change("/v1/settings", &settings)?;
        Ok(node)
    }

    fn start_with(options: PlatformOptions, trace: Trace) -> Result<Self> {
        let platform = options.start()?;
        let settings = json!({ "trace": { "mode": trace.name() } });
        platform.rest().change("/v1/settings", &settings)?;
        let SocketAddr::V4(address) = platform.ready().sip.udp else {
            bail!("the platform does not listen on IPv4");
        };
        Ok(Self { platform, address })
    }

    /// Makes it take calls from `caller` and send them all to `callee`.
    pub(crate) fn route_calls(
        &self,
        caller: SocketAddrV4,
        callee: SocketAddrV4,
        media: Media,
    ) -> Result<()> {
        self.route_limited_calls(caller, callee, media, &json!({}))
    }

    /// The same, where customer and carrier have these limits.
    pub(crate) fn route_limited_calls(
        &self,
        caller: SocketAddrV4,
        callee: SocketAddrV4,
        media: Media,
        limits: &Value,
    ) -> Result<()> {
        let rest = self.platform.rest();
        let media = match media {
            Media::Relay => "relay",
            Media::Bypass => "bypass",
        };
        let more = json!({ "media": media, "limits": limits });
        rest.add_customer(&format!("{}/32", caller.ip()), &more)?;
        let gateway = GatewaySpec {
            address: callee.into(),
            priority: 0,
        };
        rest.add_carrier("", &[gateway], &more)?;
        Ok(())
    }

    /// Makes the users of the benchmark; no contact is pinged, as at the peer. They are written
    /// into the store while the platform is down, for by the API each would reach the node by
    /// itself.
    pub(crate) fn add_users(&mut self, count: usize) -> Result<()> {
        self.add_users_with(count, Settings::default().contacts_max)
    }

    /// As [`Tandem::add_users`], with so many phones at most for each of them.
    pub(crate) fn add_users_with(&mut self, count: usize, contacts_max: u16) -> Result<()> {
        self.platform.kill_9();
        let store = Sqlite::open(&self.platform.data().join(DATABASE))?;
        let records: &dyn Records = &store;
        let actor = Actor {
            name: "benchmark".to_owned(),
            at: Time::ZERO,
        };
        let stored = records.settings()?;
        let settings = Settings {
            verify_bindings: false,
            keep_alive_interval_s: 0,
            contacts_max,
            // Calls to these users are about finding them: ports of media rest when a call has ended.
            media: MediaMode::Bypass,
            ..stored.record
        };
        records.set_settings(&actor, &settings, stored.revision)?;
        let page = Page {
            after: None,
            limit: 1,
        };
        let accounts = records.list::<Account>(&page)?;
        let account = accounts.first().context("there is no account")?.record.id;
        for number in 0..count {
            records.create(&actor, user(number, account, &settings.domain))?;
        }
        drop(store);
        self.platform.restart()
    }

    /// The domain of its addresses of record.
    pub(crate) fn domain(&self) -> &str {
        &self.platform.ready().domain
    }

    /// It, as tests use it.
    pub(crate) fn platform(&mut self) -> &mut Platform {
        &mut self.platform
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.platform.program().pid()
    }
}

fn options() -> Result<PlatformOptions> {
    let binary = std::env::current_exe().context("finding this program")?;
    let binary = binary.parent().unwrap_or(Path::new(".")).join("tandem");
    Ok(PlatformOptions::new(binary).wrapper(&["taskset", "-c", SERVER_CPU]))
}

fn live_options(url: &str) -> Result<PlatformOptions> {
    Ok(options()?.argument("--live").argument(url))
}

fn user(number: usize, account: AccountId, domain: &str) -> User {
    let name = user_name(number);
    User {
        id: UserId::from_parts(1, number as u128),
        account,
        secret: control::digest_secret(&name, domain, &password(number)),
        name,
        display_name: String::new(),
        caller_number: None,
        enabled: true,
        contacts_max: 0,
        forking: Forking::Parallel,
        ring_timeout_s: 0,
        record: false,
        dtmf: model::DtmfMode::default(),
        limits: LimitSpec::default(),
    }
}

const DATABASE: &str = "tandem.db";
const RTP_FIRST_PORT: u16 = 40_000;
const RTP_LAST_PORT: u16 = 49_999;
