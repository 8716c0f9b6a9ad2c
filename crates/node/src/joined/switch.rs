//! The line of a node that takes calls.

use std::sync::Arc;

use control::{Control, Report};
use link::proto::link_client::LinkClient;
use link::proto::{Listener, Neighbour, Question, Reported, Telemetry as Said};
use model::Snapshot;
use tokio::sync::watch;
use tonic::transport::Channel;

use super::past::Past;
use super::questions::Questions;
use super::records::{Held, HeldRecords};
use super::role::Role;
use crate::signals::Restart;
use crate::telemetry::Telemetry;

/// A switch, as its line sees it.
pub(super) struct SwitchRole {
    pub(super) held: Arc<HeldRecords>,
    pub(super) control: Control,
    pub(super) telemetry: Telemetry,
    pub(super) restart: Restart,
    /// What this node has done, as far as control is to know it.
    pub(super) past: Option<Past>,
    pub(super) questions: Questions,
    /// Whether somebody watches at control what happens here.
    pub(super) events_wanted: watch::Sender<bool>,
}

impl Role for SwitchRole {
    fn revision(&self) -> u64 {
        use store::Records as _;
        self.held.revision().unwrap_or(0)
    }

    async fn take(&mut self, snapshot: Snapshot) {
        let revision = snapshot.revision;
        match self.held.hold(snapshot) {
            Held::Taken => self.control.apply_anew(revision).await,
            Held::Older { has } => {
                tracing::warn!(revision, has, "an older configuration was refused");
            }
        }
    }

    async fn take_anew(&mut self) {
        // The configuration that came before the order was: this node takes any that is not older.
    }

    fn ask(&mut self, question: Question, line: &LinkClient<Channel>) {
        self.questions.take(question, line.clone());
    }

    fn begin_anew(&mut self) {
        self.restart.order();
    }

    async fn look(&mut self) -> Option<Said> {
        // A switch that has no time: control hears nothing, and shows that.
        let report = self.telemetry.look().await.ok()?;
        let mut said = said(report);
        if let Some(past) = &mut self.past {
            said.samples = past.due().await;
        }
        Some(said)
    }

    fn heard(&mut self, reported: Reported) {
        let Reported {
            newest_sample_us,
            neighbours,
            events_wanted,
        } = reported;
        self.events_wanted
            .send_if_modified(|wanted| std::mem::replace(wanted, events_wanted) != events_wanted);
        if let Some(past) = &mut self.past {
            past.heard(newest_sample_us);
        }
        let neighbours = neighbours.iter().filter_map(neighbour);
        self.telemetry.turn_to(neighbours.collect());
    }
}

/// One that control names; `None` where it cannot be asked.
fn neighbour(named: &Neighbour) -> Option<control::Neighbour> {
    Some(control::Neighbour {
        server: named.server.parse().ok()?,
        address: named.address.parse().ok()?,
    })
}

/// A report as it goes over the line, less what only the line knows.
pub(super) fn said(report: Report) -> Said {
    let listener = |socket: control::SocketReport| Listener {
        transport: socket.transport,
        address: socket.address,
        advertised: socket.advertised,
    };
    let distances = report.distances.iter();
    let distances = distances.filter_map(|distance| serde_json::to_vec(distance).ok());
    let dispatcher = report.dispatcher.as_ref();
    let media = report.media.as_ref();
    Said {
        at_us: 0,
        started_us: report.started_us,
        version: report.version,
        host: report.host,
        revision: report.revision,
        draining: report.draining,
        channels: report.channels,
        channels_peak: report.channels_peak,
        channels_limit: report.channels_limit,
        cps: report.cps,
        cps_peak: report.cps_peak,
        cps_limit: report.cps_limit,
        registrations: report.registrations,
        cpu_percent: report.cpu_percent,
        memory_bytes: report.memory_bytes,
        machine_memory_bytes: report.machine_memory_bytes,
        cores: report.cores,
        listeners: report.listeners.into_iter().map(listener).collect(),
        rtt_us: None,
        tls_expires_us: report.tls_expires_us,
        cluster_channels_share: report.cluster_channels_share,
        cluster_cps_share: report.cluster_cps_share,
        distances: distances.collect(),
        icmp_refused: report.icmp_refused,
        samples: Vec::new(),
        dispatcher: dispatcher.and_then(|report| serde_json::to_vec(report).ok()),
        media: media.and_then(|report| serde_json::to_vec(report).ok()),
        update: report
            .update
            .and_then(|update| serde_json::to_vec(&update).ok()),
    }
}
