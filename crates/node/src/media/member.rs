//! The media server as a node of a platform: what it tells control, and what control tells it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use control::{MediaReport, Report};
use media_server::{Handle, Look, MediaServer};
use model::Server;
use ng::State;

use super::{MediaOptions, RtpInterface};
use crate::joined::{Edge, Work};
use crate::signals::Restart;

/// A media server that has joined.
pub(super) struct Member {
    server: Handle,
    places: Places,
    restart: Restart,
    /// Whether control wants it to take no new sessions; what was done about it by hand stays until
    /// control wants something else.
    is_drained: bool,
    /// Packets relayed, those by the kernel among them, and when that was so.
    last: Option<(u64, u64, Instant)>,
    /// Sessions at each look of the last five minutes.
    sessions: VecDeque<u32>,
}

/// Where it is asked, and where media goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    control: Vec<String>,
    media: Vec<String>,
}

impl Member {
    /// Where a media server with these options is found by media.
    pub(super) fn places(options: &MediaOptions) -> Places {
        Places {
            control: Vec::new(),
            media: options.interfaces.iter().map(address).collect(),
        }
    }

    /// A member that runs.
    pub(super) fn new(server: &MediaServer, places: Places, restart: Restart) -> Self {
        let addresses = server.addresses();
        let named = [
            ("udp", &addresses.udp),
            ("tcp", &addresses.tcp),
            ("http", &addresses.http),
        ];
        let control = named.iter().flat_map(|(transport, all)| {
            let all = all.iter();
            all.map(move |address| format!("{transport}:{address}"))
        });
        Self {
            server: server.handle(),
            places: Places {
                control: control.collect(),
                ..places
            },
            restart,
            is_drained: false,
            last: None,
            sessions: VecDeque::new(),
        }
    }

    /// Does what control said last, before anybody asks for a session.
    pub(super) fn begin(&mut self, edge: &Edge) {
        if let Some(server) = edge.server() {
            self.drain(server.draining);
        }
    }

    fn drain(&mut self, wanted: bool) {
        if wanted == self.is_drained {
            return;
        }
        self.is_drained = wanted;
        match wanted {
            true => self.server.drain(),
            false => self.server.resume(),
        }
    }

    /// Packets in a second since the last look, those by the kernel apart; `None` at the first.
    fn rates(&mut self, look: &Look) -> Option<(u64, u64)> {
        let at = Instant::now();
        let now = (look.relayed_packets, look.kernel_packets, at);
        let (relayed, by_kernel, then) = self.last.replace(now)?;
        let passed_s = at.duration_since(then).as_secs_f64();
        let rate = |before: u64, now: u64| (now.saturating_sub(before) as f64 / passed_s) as u64;
        (passed_s > 0.0).then(|| {
            (
                rate(relayed, look.relayed_packets),
                rate(by_kernel, look.kernel_packets),
            )
        })
    }

    /// The most sessions of the last minutes.
    fn peak(&mut self, sessions: u32) -> u32 {
        self.sessions.push_back(sessions);
        if self.sessions.len() > LOOKS_OF_PEAK {
            self.sessions.pop_front();
        }
        self.sessions.iter().copied().max().unwrap_or(sessions)
    }
}

impl Work for Member {
    async fn apply(&mut self, server: Arc<Server>) {
        self.drain(server.draining);
    }

    async fn look(&mut self) -> Option<Report> {
        let look = self.server.look().await?;
        let rates = self.rates(&look);
        let status = look.status;
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let sessions_max = Some(status.sessions_max).filter(|max| *max > 0);
        let sessions = small(status.sessions);
        let (kernel_path, kernel_refused) = match look.kernel_path {
            Ok(place) => (Some(place), None),
            Err(why) => (None, Some(why)),
        };
        Some(Report {
            draining: status.state != State::Active,
            channels: sessions,
            channels_peak: self.peak(sessions),
            channels_limit: sessions_max.map(small),
            media: Some(MediaReport {
                control: self.places.control.clone(),
                addresses: self.places.media.clone(),
                aliases: status.aliases,
                zone: status.zone,
                sessions: status.sessions,
                sessions_max,
                load_percent: f64::from(status.load_permille) / 10.0,
                ports_used: look.ports_used as u64,
                ports_free: look.ports_free as u64,
                packets_per_s: rates.map(|(all, _)| all),
                kernel_packets_per_s: rates.map(|(_, by_kernel)| by_kernel),
                dropped_total: look.dropped_packets,
                kernel_path,
                kernel_refused,
            }),
            ..Report::default()
        })
    }

    fn begin_anew(&mut self) {
        self.restart.order();
    }
}

/// `pub/10.0.0.5 as 203.0.113.5`.
fn address(interface: &RtpInterface) -> String {
    let RtpInterface {
        name,
        bind,
        advertised,
    } = interface;
    let name = name
        .as_ref()
        .map_or(String::new(), |name| format!("{name}/"));
    if bind == advertised {
        format!("{name}{bind}")
    } else {
        format!("{name}{bind} as {advertised}")
    }
}

/// There is a look each second: five minutes.
const LOOKS_OF_PEAK: usize = 300;
