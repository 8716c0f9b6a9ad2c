//! The platform, set up through its API.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;
use testkit::{GatewaySpec, Platform, PlatformOptions};

use crate::load::register::{password, user_name};
use crate::peers::SERVER_CPU;

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
    /// Starts it on the server's processor.
    pub(crate) fn start() -> Result<Self> {
        let binary = std::env::current_exe().context("finding this program")?;
        let binary = binary.parent().unwrap_or(Path::new(".")).join("tandem");
        let platform = PlatformOptions::new(binary)
            .wrapper(&["taskset", "-c", SERVER_CPU])
            .rtp_ports(RTP_FIRST_PORT, RTP_LAST_PORT)
            .start()?;
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
        let rest = self.platform.rest();
        let media = match media {
            Media::Relay => "relay",
            Media::Bypass => "bypass",
        };
        let more = json!({ "media": media });
        rest.add_customer(&format!("{}/32", caller.ip()), &more)?;
        let gateway = GatewaySpec {
            address: callee.into(),
            priority: 0,
        };
        rest.add_carrier("", &[gateway], &more)?;
        Ok(())
    }

    /// Makes the users of the benchmark; no contact is pinged, as at the peer.
    pub(crate) fn add_users(&self, count: usize) -> Result<()> {
        let rest = self.platform.rest();
        let mut settings = rest.read("/v1/settings")?;
        settings["verify_bindings"] = json!(false);
        settings["keep_alive_interval_s"] = json!(0);
        rest.replace("/v1/settings", &settings)?;
        let account = rest.account()?;
        let next = AtomicUsize::new(0);
        let make_users = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                if number > 0 && number.is_multiple_of(10_000) {
                    eprintln!("{number} of {count} users made");
                }
                let user = json!({
                    "account": account,
                    "name": user_name(number),
                    "password": password(number),
                });
                rest.create("/v1/users", &user)?;
            }
        };
        // The platform hands changes that come together to its node together.
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..API_CLIENTS).map(|_| scope.spawn(make_users)).collect();
            clients.into_iter().try_for_each(|client| {
                client
                    .join()
                    .map_err(|_| anyhow!("a client of the API panicked"))?
            })
        })
    }

    /// The domain of its addresses of record.
    pub(crate) fn domain(&self) -> &str {
        &self.platform.ready().domain
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.platform.program().pid()
    }
}

/// At the same time, while users are made.
const API_CLIENTS: usize = 128;
const RTP_FIRST_PORT: u16 = 40_000;
const RTP_LAST_PORT: u16 = 49_999;
