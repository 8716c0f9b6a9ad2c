//! How the node is, as far as rules ask for it.

use std::sync::Arc;

use model::{GatewayHealth, MediaServerHealth};

use super::AlertPort;
use super::calls::Calls;
use super::groups::{self, GroupFacts};
use crate::{Control, LimitUsage, LimitedKind};

/// How the node is; what it does not say is `None`, and no rule judges it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Gateways.
    pub gateways: Option<Vec<GatewayHealth>>,
    /// Media servers.
    pub media_servers: Option<Vec<MediaServerHealth>>,
    /// Limits of the server.
    pub server: Option<LimitUsage>,
    /// Zones and clusters of several servers.
    pub groups: Option<Vec<GroupFacts>>,
    /// Certificates.
    pub certificates: Option<Vec<CertificateEnd>>,
    /// What became of the calls to carriers that ended within the last quarter of an hour.
    pub carriers: Option<Vec<CarrierFacts>>,
    /// Packets that were expected in the calls that ended within that time, and those lost of them.
    pub packets: Option<(u64, u64)>,
}

/// Until when a certificate is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateEnd {
    /// What people call it: its file.
    pub name: String,
    /// Its end, in microseconds since the Unix epoch.
    pub until_us: u64,
}

/// What became of the calls to a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierFacts {
    /// Its identifier.
    pub carrier: String,
    /// What people call it.
    pub name: String,
    /// Calls.
    pub calls: u32,
    /// Those of them that were answered.
    pub answered: u32,
}

/// What is not looked at in each round.
#[derive(Default)]
pub(super) struct Seldom {
    at_us: u64,
    certificates: Option<Vec<CertificateEnd>>,
    calls: Calls,
    carriers: Option<Vec<CarrierFacts>>,
    packets: Option<(u64, u64)>,
}

impl Facts {
    pub(super) async fn gather(
        control: &Control,
        port: Arc<dyn AlertPort>,
        seldom: &mut Seldom,
        at_us: u64,
    ) -> Self {
        if at_us.saturating_sub(seldom.at_us) >= SELDOM_US {
            seldom.at_us = at_us;
            let ends = tokio::task::spawn_blocking(move || port.certificates());
            seldom.certificates = ends.await.ok();
            let is_known = seldom.calls.look(control, at_us).await;
            seldom.packets = is_known.then(|| seldom.calls.packets());
            seldom.carriers = match is_known {
                true => seldom.calls.carriers(control).await,
                false => None,
            };
        }
        let platform = control.platform();
        let limits = platform.limit_usage().await.ok();
        let server = limits.and_then(|all| {
            let mut all = all.into_iter();
            all.find(|usage| usage.kind == LimitedKind::Server)
        });
        Self {
            gateways: platform.gateway_health().await.ok(),
            media_servers: platform.media_server_health().await.ok(),
            server,
            groups: groups::gather(control).await,
            certificates: seldom.certificates.clone(),
            carriers: seldom.carriers.clone(),
            packets: seldom.packets,
        }
    }
}

/// Between two looks at calls and certificates.
const SELDOM_US: u64 = 20 * 1_000_000;
