//! How the node is, as far as rules ask for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{GatewayHealth, MediaServerHealth};
use store::CdrFilter;

use super::AlertPort;
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
    /// What became of the calls to carriers within `WINDOW_US`.
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
            (seldom.carriers, seldom.packets) = calls(control, at_us).await;
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

/// What became of the last calls, of which at most so many are looked at.
async fn calls(control: &Control, at_us: u64) -> (Option<Vec<CarrierFacts>>, Option<(u64, u64)>) {
    let filter = CdrFilter {
        from_us: Some(at_us.saturating_sub(WINDOW_US)),
        ..CdrFilter::default()
    };
    let found = control
        .cdrs(move |cdrs| cdrs.list(&filter, None, CALLS_MAX))
        .await;
    let Ok(found) = found else {
        return (None, None);
    };
    let mut carriers: BTreeMap<String, CarrierFacts> = BTreeMap::new();
    let (mut expected, mut lost) = (0, 0);
    for cdr in found {
        if let Some(carrier) = cdr.carrier {
            let carrier = carrier.to_string();
            let of_it = carriers.entry(carrier.clone()).or_insert(CarrierFacts {
                carrier,
                calls: 0,
                answered: 0,
            });
            of_it.calls += 1;
            of_it.answered += u32::from(cdr.answer_us.is_some());
        }
        for leg in [cdr.media_a, cdr.media_b].into_iter().flatten() {
            expected += leg.packets + leg.lost;
            lost += leg.lost;
        }
    }
    (
        Some(carriers.into_values().collect()),
        Some((expected, lost)),
    )
}

/// Calls that ended within a quarter of an hour.
const WINDOW_US: u64 = 900 * 1_000_000;
const CALLS_MAX: usize = 2_000;
/// Between two looks at calls and certificates.
const SELDOM_US: u64 = 20 * 1_000_000;
