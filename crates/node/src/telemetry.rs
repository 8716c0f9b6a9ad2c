//! How this node is, for control and for the list of servers.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::{Neighbour, PlatformError, Report, SocketReport};
use limits::{EntityId, LimitKind};
use net::Net;

use crate::certificate::CertificateDesk;
use crate::distance::Distances;
use crate::listeners;
use crate::metrics::TRANSPORTS;
use crate::program::{self, Program};
use crate::visit::Visitor;

/// Looks at this node, again and again.
pub(crate) struct Telemetry {
    visitor: Visitor,
    net: Net,
    certificates: Arc<CertificateDesk>,
    vitals: Vitals,
    /// How far the nodes are that control names.
    distances: Distances,
    /// The certificate of SIP, as it was read last.
    tls: Option<(Option<u64>, Instant)>,
}

impl Telemetry {
    pub(crate) fn new(
        visitor: Visitor,
        net: Net,
        certificates: Arc<CertificateDesk>,
        host: String,
    ) -> Self {
        let vitals = Vitals::new(net.clock().now().as_micros(), host);
        Self {
            visitor,
            net,
            certificates,
            vitals,
            distances: Distances::default(),
            tls: None,
        }
    }

    /// The time of the machine; microseconds since the Unix epoch.
    pub(crate) fn now_us(&self) -> u64 {
        self.net.clock().now().as_micros()
    }

    /// Measures how far these are from now on; to be called within a runtime.
    pub(crate) fn turn_to(&self, neighbours: Vec<Neighbour>) {
        self.distances.turn_to(neighbours);
    }

    /// A look. Errors: the switch has no time, or has ended.
    pub(crate) async fn look(&mut self) -> Result<Report, PlatformError> {
        let seen = self.visitor.ask(|now, machine, _| {
            let switch = &machine.switch;
            let usage = switch.usage(now, EntityId::SERVER);
            let limit = switch.configured_limit(EntityId::SERVER);
            let snapshot = switch.snapshot();
            let registrations: usize = TRANSPORTS.iter().map(|t| switch.binding_count(*t)).sum();
            let calls = u32::try_from(switch.call_count()).unwrap_or(u32::MAX);
            let share = |kind| {
                let cluster = routing::cluster_of(snapshot.cluster.as_ref()?.id);
                let limit = switch.configured_limit(cluster)?;
                let whole = match kind {
                    LimitKind::Cps => limit.cps?,
                    LimitKind::Channels => limit.channels?,
                };
                // Where nothing is shared, its part is its own.
                Some(switch.share_of(cluster, kind).map_or(whole, |(own, _)| own))
            };
            Report {
                cluster_channels_share: share(LimitKind::Channels),
                cluster_cps_share: share(LimitKind::Cps),
                revision: snapshot.revision,
                draining: snapshot.draining,
                channels: usage.map_or(calls, |usage| usage.channels),
                channels_peak: usage.map_or(calls, |usage| usage.channels_peak),
                channels_limit: limit.and_then(|limit| limit.channels),
                cps: usage.map_or(0, |usage| usage.cps),
                cps_peak: usage.map_or(0, |usage| usage.cps_peak),
                cps_limit: limit.and_then(|limit| limit.cps),
                registrations: u32::try_from(registrations).unwrap_or(u32::MAX),
                ..Report::default()
            }
        });
        let seen = seen.await?;
        let (distances, icmp_refused) = self.distances.look();
        let tls_expires_us = self.tls_expires_us();
        Ok(self.vitals.look(Report {
            distances,
            icmp_refused,
            listeners: sockets(&self.net),
            tls_expires_us,
            ..seen
        }))
    }

    fn tls_expires_us(&mut self) -> Option<u64> {
        if let Some((known, at)) = &self.tls
            && at.elapsed() < TLS_LOOK
        {
            return *known;
        }
        let expires = self.certificates.usual_until_us();
        self.tls = Some((expires, Instant::now()));
        expires
    }
}

/// The process, and the machine that it runs on.
pub(crate) struct Vitals {
    started_us: u64,
    host: String,
    /// Processor time of the process at the last look, in ticks.
    cpu: Option<(u64, Instant)>,
    program: Program,
}

impl Vitals {
    /// Of a process that began at `started_us`, microseconds since the Unix epoch, on a machine that
    /// is called so.
    pub(crate) fn new(started_us: u64, host: String) -> Self {
        Self {
            started_us,
            host,
            cpu: None,
            program: Program::of_process(),
        }
    }

    /// What a role says of itself, with what is to be said of its process.
    pub(crate) fn look(&mut self, seen: Report) -> Report {
        Report {
            started_us: self.started_us,
            version: program::version().into(),
            update: self.program.update(Instant::now()),
            host: self.host.clone(),
            cpu_percent: self.cpu_percent(),
            memory_bytes: memory_bytes(),
            machine_memory_bytes: kilobytes("/proc/meminfo", "MemTotal:"),
            cores: cores(),
            ..seen
        }
    }

    /// Since the last look; `None` at the first.
    fn cpu_percent(&mut self) -> Option<f64> {
        let (ticks, at) = (cpu_ticks()?, Instant::now());
        let (before, then) = self.cpu.replace((ticks, at))?;
        let passed_s = at.duration_since(then).as_secs_f64();
        let used_s = ticks.saturating_sub(before) as f64 / TICKS_PER_S;
        (passed_s > 0.0).then(|| (used_s / passed_s * 1_000.0).round() / 10.0)
    }
}

/// Where SIP is spoken.
pub(crate) fn sockets(net: &Net) -> Vec<SocketReport> {
    let open = net.listeners();
    let socket = |status: &net::ListenerStatus| SocketReport {
        transport: status.spec.transport.param_name().to_owned(),
        address: status.local.to_string(),
        advertised: listeners::for_switch(status).advertised.to_string(),
    };
    open.iter().map(socket).collect()
}

/// Memory of the process.
pub(crate) fn memory_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// Processor time of the process, user's and system's.
pub(crate) fn cpu_ms() -> Option<u64> {
    Some((cpu_ticks()? as f64 / TICKS_PER_S * 1_000.0) as u64)
}

/// A figure of `/proc` in kB.
fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let figure: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    figure.checked_mul(1_024)
}

/// The same in ticks.
fn cpu_ticks() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in parentheses, and may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn cores() -> Option<u32> {
    let cores = std::thread::available_parallelism().ok()?;
    u32::try_from(cores.get()).ok()
}

/// What the kernel counts processor time in (`USER_HZ`): the same on all machines with Linux.
const TICKS_PER_S: f64 = 100.0;
/// Between two looks at the certificate of SIP.
const TLS_LOOK: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_it_is() {
        assert!(cpu_ticks().is_some());
        assert!(kilobytes("/proc/self/status", "VmRSS:").is_some_and(|bytes| bytes > 1 << 20));
        assert!(kilobytes("/proc/meminfo", "MemTotal:").is_some_and(|bytes| bytes > 1 << 26));
        assert_eq!(kilobytes("/proc/meminfo", "Nothing:"), None);
        assert!(cores().is_some_and(|cores| cores > 0));
    }
}
