//! The running node as the API sees it.

mod simulate;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use control::{
    ArrayView, Ban, CallFilter, CallsFound, Deployment, LimitUsage, LimitedKind, ListenerSpec,
    ListenerStatus, Platform, PlatformError, PlatformEvent, PresentedCertificate, Readiness,
    Recording, RecordingPlace, RegistrationFilter, Reply, RouteQuery, Simulation, TraceStatus,
};
use limits::{EntityId, EntityKind, LimitKind};
use link::RefusedLines;
use model::{CallId, CallView, GatewayHealth, MediaServerHealth, RegistrationView, Snapshot};
use net::Net;
use registrar::BindingId;
use store::{ArrayWatch, TraceId, TracePart, TraceQuery, TraceReader};
use switch::CallGlance;
use tokio::sync::broadcast;
use trace::Seen;

use crate::UpOptions;
use crate::certificate::CertificateDesk;
use crate::data::Data;
use crate::doors::{Doors, Position};
use crate::locations::LocationHealth;
use crate::media_servers::MediaLink;
use crate::music::Shelf;
use crate::permits::LiveHealth;
use crate::recording;
use crate::snapshot_file::SnapshotFile;
use crate::visit::Visitor;
use crate::{listeners, metrics, up};

/// The node.
pub(crate) struct NodePlatform {
    pub(crate) visitor: Visitor,
    pub(crate) media_link: MediaLink,
    pub(crate) net: Net,
    pub(crate) events: broadcast::Sender<PlatformEvent>,
    pub(crate) options: UpOptions,
    pub(crate) data: Data,
    /// Present where limits are kept together with other nodes.
    pub(crate) live: Option<LiveHealth>,
    /// Present where bindings are shared with other nodes.
    pub(crate) locations: Option<LocationHealth>,
    /// Present where registrations are shared with servers that are no cluster.
    pub(crate) array: Option<ArrayWatch>,
    /// Present where machines can join: lines of theirs that came to nothing.
    pub(crate) refused_lines: Option<Arc<RefusedLines>>,
    /// Present where the store may be away when the node starts.
    pub(crate) snapshot_file: Option<SnapshotFile>,
    /// Held while a listener is added.
    pub(crate) adding: tokio::sync::Mutex<()>,
    /// Music on hold as it was last read.
    pub(crate) shelf: Arc<Mutex<Shelf>>,
    /// What is shown in handshakes.
    pub(crate) certificates: Arc<CertificateDesk>,
    /// Whether SIP is spoken.
    pub(crate) doors: Doors,
}

impl Platform for NodePlatform {
    fn calls(
        &self,
        filter: CallFilter,
        limit: usize,
        after: Option<CallId>,
    ) -> Reply<'_, CallsFound> {
        Box::pin(self.visitor.ask(move |_, machine, _| {
            let wanted = |call: &CallGlance<'_>| {
                filter.account.is_none_or(|a| call.account == Some(a))
                    && filter.state.is_none_or(|s| call.state == s)
                    && filter.caller.as_ref().is_none_or(|t| call.caller == t)
                    && filter.called.as_ref().is_none_or(|t| call.called == t)
            };
            let (items, total) = machine.switch.calls_where(wanted, after, limit);
            CallsFound { items, total }
        }))
    }

    fn call(&self, id: CallId) -> Reply<'_, Option<CallView>> {
        Box::pin(
            self.visitor
                .ask(move |_, machine, _| machine.switch.call(id)),
        )
    }

    fn hang_up(&self, id: CallId) -> Reply<'_, bool> {
        Box::pin(
            self.visitor
                .ask(move |now, machine, _| machine.switch.hang_up(now, id)),
        )
    }

    fn registrations(
        &self,
        filter: RegistrationFilter,
        limit: usize,
        after: Option<String>,
    ) -> Reply<'_, Vec<RegistrationView>> {
        Box::pin(async move {
            let after = after.and_then(|id| id.parse::<BindingId>().ok());
            self.visitor
                .ask(move |_, machine, _| {
                    let switch = &machine.switch;
                    let domain = &switch.snapshot().settings.domain;
                    let user = filter.user.and_then(|id| {
                        switch
                            .snapshot()
                            .users
                            .iter()
                            .find(|u| u.id == id)
                            .map(|u| u.name.clone())
                    });
                    if filter.user.is_some() && user.is_none() {
                        return Vec::new();
                    }
                    let aor = filter.aor.or(user).map(|name| {
                        if name.contains('@') {
                            name
                        } else {
                            format!("{name}@{domain}")
                        }
                    });
                    let wanted = (aor.as_deref(), filter.text.as_deref());
                    switch.registrations(wanted, after, limit)
                })
                .await
        })
    }

    fn remove_registration(&self, id: String) -> Reply<'_, bool> {
        Box::pin(async move {
            let Ok(id) = id.parse::<BindingId>() else {
                return Ok(false);
            };
            self.visitor
                .ask(move |now, machine, _| machine.switch.remove_registration(now, id))
                .await
        })
    }

    fn gateway_health(&self) -> Reply<'_, Vec<GatewayHealth>> {
        Box::pin(
            self.visitor
                .ask(|now, machine, _| machine.switch.gateway_health(now)),
        )
    }

    fn media_server_health(&self) -> Reply<'_, Vec<MediaServerHealth>> {
        Box::pin(async move { Ok(self.media_link.health().await) })
    }

    fn array(&self) -> Reply<'_, ArrayView> {
        let watch = self.array.clone();
        Box::pin(async move {
            Ok(watch.map_or_else(ArrayView::default, |w| crate::array::view(w.status())))
        })
    }

    fn deployment(&self) -> Reply<'_, Deployment> {
        let options = &self.options;
        let there = Deployment {
            members: self.live.as_ref().map(LiveHealth::addresses),
            virtual_address: options.virtual_address.is_some(),
            database_hosts: options.store.as_deref().map_or(0, store::database_hosts),
            sentinels: options.live.as_deref().map_or(0, store::sentinels),
        };
        Box::pin(std::future::ready(Ok(there)))
    }

    fn limit_usage(&self) -> Reply<'_, Vec<LimitUsage>> {
        Box::pin(self.visitor.ask(|now, machine, _| {
            named_entities(machine.switch.snapshot())
                .into_iter()
                .filter_map(|(entity, kind, id, name)| {
                    let usage = machine.switch.usage(now, entity)?;
                    let limit = machine.switch.configured_limit(entity)?;
                    let limited = limit.cps.is_some() || limit.channels.is_some();
                    let share = |kind| machine.switch.share_of(entity, kind);
                    let (cps, channels) = (share(LimitKind::Cps), share(LimitKind::Channels));
                    (limited || kind == LimitedKind::Server).then_some(LimitUsage {
                        kind,
                        id,
                        name,
                        cps_limit: limit.cps,
                        cps_share: cps.map(|(own, _)| own),
                        cps_elsewhere: cps.map(|(_, others)| others.share),
                        cps: usage.cps,
                        channels_limit: limit.channels,
                        channels_share: channels.map(|(own, _)| own),
                        channels_elsewhere: channels.map(|(_, others)| others.share),
                        channels: usage.channels,
                    })
                })
                .collect()
        }))
    }

    fn simulate(
        &self,
        query: RouteQuery,
        configuration: Option<Arc<Snapshot>>,
    ) -> Reply<'_, Simulation> {
        Box::pin(async move {
            let drafted = match configuration {
                Some(snapshot) => Some(simulate::Drafted::compile(snapshot).await?),
                None => None,
            };
            // Taken apart here and not on the thread for calls, which only borrows it.
            let lent = drafted.clone();
            let simulated = self.visitor.ask(move |now, machine, _| {
                simulate::simulate(&machine.switch, now, &query, lent.as_deref())
            });
            let (mut simulation, place) = simulated.await?;
            if let Some(place) = place {
                let why = self.media_link.explain(place).await;
                simulation.steps.extend(why);
            }
            Ok(simulation)
        })
    }

    fn metrics(&self) -> Reply<'_, String> {
        let (net, live) = (self.net.clone(), self.live.clone());
        let (locations, array) = (self.locations.clone(), self.array.clone());
        let refused = self.refused_lines.clone();
        Box::pin(async move {
            let servers = self.media_link.health().await;
            self.visitor
                .ask(move |now, machine, host| {
                    let text = metrics::text(now, &machine.switch, host, &net);
                    let text = text + &metrics::media_servers(&machine.switch, &servers);
                    let counters = machine.switch.counters();
                    let text = text + &metrics::live_store(live.as_ref(), counters);
                    let text = text + &metrics::locations(&machine.switch, locations.as_ref());
                    let text = text + &metrics::array(array.as_ref());
                    text + &metrics::refused_lines(refused.as_deref())
                })
                .await
        })
    }

    fn readiness(&self) -> Reply<'_, Readiness> {
        Box::pin(async move {
            let (lost, stopping) = self
                .visitor
                .ask(|_, machine, host| (host.journal.stats(), machine.switch.is_stopping()))
                .await?;
            let mut problems = Vec::new();
            if stopping {
                problems.push("the platform is stopping".to_owned());
            }
            if lost.pending_bytes > 0 && lost.write_errors > 0 {
                problems.push("the CDR journal cannot be written: is the disk full?".to_owned());
            }
            if self.net.listeners().is_empty() {
                problems.push("no SIP listener is open".to_owned());
            }
            Ok(Readiness {
                ready: problems.is_empty(),
                problems,
            })
        })
    }

    fn listeners(&self) -> Reply<'_, Vec<ListenerStatus>> {
        Box::pin(async move {
            Ok(self
                .net
                .listeners()
                .iter()
                .map(|l| self.status(l))
                .collect())
        })
    }

    fn add_listener(&self, spec: ListenerSpec) -> Reply<'_, ListenerStatus> {
        Box::pin(async move {
            if self.doors.is_closed() {
                return Err(refused("address", "the server is stopped: start it first"));
            }
            // Until it is open nobody else may take its number.
            let _one_at_a_time = self.adding.lock().await;
            let used: Vec<u16> = self.net.listeners().iter().map(|l| l.spec.id.0).collect();
            let id = (listeners::ADDED_FIRST..u16::MAX)
                .find(|id| !used.contains(id))
                .ok_or_else(|| refused("address", "no listener number is free"))?;
            let transport = listeners::transport(spec.transport);
            if !listeners::can_ask(transport, spec.client_certificates) {
                return Err(refused(
                    "client_certificates",
                    "only a tls or wss listener can ask for certificates",
                ));
            }
            let wanted = net::ListenerSpec {
                clients: listeners::clients(spec.client_certificates),
                ..listeners::spec(&self.options, sip::ListenerId(id), transport, spec.address)
            };
            let net = self.net.clone();
            let opened = tokio::task::spawn_blocking(move || net.add_listener(&wanted))
                .await
                .map_err(|e| PlatformError::Unavailable(e.to_string()))?
                .map_err(|e| refused("address", &e.to_string()))?;
            let listener = listeners::for_switch(&opened);
            self.visitor
                .tell(move |_, machine, _| machine.switch.set_listener(listener))?;
            self.keep_listeners();
            Ok(self.status(&opened))
        })
    }

    fn remove_listener(&self, id: String) -> Reply<'_, bool> {
        Box::pin(async move {
            let Ok(number) = id.parse::<u16>() else {
                return Ok(false);
            };
            let id = sip::ListenerId(number);
            if !self.net.listeners().iter().any(|l| l.spec.id == id) {
                return Ok(false);
            }
            if number < listeners::ADDED_FIRST {
                return Err(refused("id", "the listeners of the start stay open"));
            }
            self.visitor
                .tell(move |_, machine, _| machine.switch.remove_listener(id))?;
            let net = self.net.clone();
            tokio::task::spawn_blocking(move || net.remove_listener(id))
                .await
                .map_err(|e| PlatformError::Unavailable(e.to_string()))?
                .map_err(|e| PlatformError::Unavailable(e.to_string()))?;
            self.keep_listeners();
            Ok(true)
        })
    }

    fn presented_certificates(&self) -> Reply<'_, Vec<PresentedCertificate>> {
        let desk = Arc::clone(&self.certificates);
        Box::pin(async move {
            let looked = tokio::task::spawn_blocking(move || desk.presented()).await;
            looked.map_err(|error| PlatformError::Unavailable(error.to_string()))
        })
    }

    fn bans(&self) -> Reply<'_, Vec<Ban>> {
        Box::pin(self.visitor.ask(|now, machine, _| {
            machine
                .switch
                .bans(now)
                .into_iter()
                .map(|(address, ban)| Ban {
                    address,
                    reason: ban.reason.to_owned(),
                    since_us: ban.since.as_micros(),
                    until_us: ban.until.as_micros(),
                })
                .collect()
        }))
    }

    fn recordings(&self, after: Option<RecordingPlace>, limit: usize) -> Reply<'_, Vec<Recording>> {
        self.look_at_recordings(move |dir| recording::list(dir, after.as_ref(), limit))
    }

    fn locate(&self, mut recordings: Vec<Recording>) -> Reply<'_, Vec<Recording>> {
        self.look_at_recordings(move |dir| {
            recording::locate(dir, &up::node_name(), &mut recordings);
            recordings
        })
    }

    fn traced(&self, query: TraceQuery) -> Reply<'_, TracePart> {
        self.look_at_traces(move |reader| reader.part(&query))
    }

    fn traced_message(&self, id: TraceId) -> Reply<'_, Option<Seen>> {
        self.look_at_traces(move |reader| reader.message(id))
    }

    fn node(&self) -> String {
        up::node_name()
    }

    fn trace_status(&self) -> Reply<'_, TraceStatus> {
        Box::pin(self.visitor.ask(|_, machine, host| {
            let counts = host.trace.counts();
            let [heard, ..] = host.collector.counts();
            TraceStatus {
                mode: machine.switch.snapshot().settings.trace.mode,
                kept: counts.kept,
                dropped: counts.dropped,
                failed: counts.failed,
                heard,
                bytes: counts.bytes,
                oldest_us: counts.oldest_us,
            }
        }))
    }

    fn remove_ban(&self, address: IpAddr) -> Reply<'_, bool> {
        Box::pin(
            self.visitor
                .ask(move |_, machine, _| machine.switch.lift_ban(address)),
        )
    }

    fn apply(&self, snapshot: Snapshot) -> Reply<'_, ()> {
        let snapshot = Arc::new(snapshot);
        if let Some(file) = &self.snapshot_file {
            file.write(Arc::clone(&snapshot));
        }
        Box::pin(async move {
            let read = Arc::clone(&snapshot);
            let known = Arc::clone(&self.shelf);
            let certificates = Arc::clone(&self.certificates);
            let shelf = tokio::task::spawn_blocking(move || {
                certificates.apply(&read);
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Shelf::read(&read, &known);
                known.clone()
            });
            let shelf = shelf.await;
            let shelf = shelf.map_err(|error| PlatformError::Unavailable(error.to_string()))?;
            let position = Position::wanted_by(&snapshot);
            let apply = self.visitor.ask(move |now, machine, host| {
                let inactivity = up::inactivity(&snapshot.settings);
                host.engine.set_inactivity(inactivity);
                let format = up::recording_format(&snapshot.settings);
                host.engine.set_recording_format(format);
                host.uploads.configure(&snapshot.settings.recording_store);
                host.configure(&snapshot.settings, shelf);
                host.media_link
                    .configure(&snapshot.media_servers, inactivity);
                machine.switch.configure(now, snapshot);
            });
            apply.await?;
            self.doors.set(position);
            Ok(())
        })
    }

    fn subscribe(&self) -> broadcast::Receiver<PlatformEvent> {
        self.events.subscribe()
    }
}

impl NodePlatform {
    /// Reads in the directory of recordings, where nobody waits for the disk.
    fn look_at_recordings<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Reply<'_, T> {
        let dir = self.data.path("recordings");
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || look(&dir)).await;
            found.map_err(|error| PlatformError::Unavailable(error.to_string()))
        })
    }

    /// Reads in the directory of traces, where nobody waits for the disk.
    fn look_at_traces<T: Send + 'static>(
        &self,
        look: impl FnOnce(&TraceReader) -> std::io::Result<T> + Send + 'static,
    ) -> Reply<'_, T> {
        let reader = TraceReader::new(&self.data.path(up::TRACES));
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || look(&reader)).await;
            let found = found.map_err(|error| PlatformError::Unavailable(error.to_string()))?;
            found.map_err(|error| PlatformError::Unavailable(format!("traces: {error}")))
        })
    }

    fn status(&self, status: &net::ListenerStatus) -> ListenerStatus {
        let listener = listeners::for_switch(status);
        let asked = match status.spec.transport {
            sip::Transport::Udp => net::UDP_BUFFER_BYTES as u64,
            _ => 0,
        };
        ListenerStatus {
            id: status.spec.id.0.to_string(),
            transport: listeners::transport_spec(status.spec.transport),
            address: status.local,
            advertised: (listener.advertised != status.local).then_some(listener.advertised),
            receive_buffer_asked_bytes: asked,
            receive_buffer_bytes: status.receive_buffer_bytes.unwrap_or(0) as u64,
            send_buffer_asked_bytes: asked,
            send_buffer_bytes: status.send_buffer_bytes.unwrap_or(0) as u64,
            connections: self.net.counters().connections(status.spec.transport) as u32,
            client_certificates: listeners::clients_spec(status.spec.clients),
        }
    }

    fn keep_listeners(&self) {
        if let Err(error) = listeners::keep(&self.data, &self.net) {
            tracing::warn!(%error, "added listeners will not be there after a restart");
        }
    }
}

fn refused(field: &str, message: &str) -> PlatformError {
    PlatformError::Refused {
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

/// Everything that can have limits, with its kind, id and name.
fn named_entities(snapshot: &Snapshot) -> Vec<(EntityId, LimitedKind, String, String)> {
    let mut all = vec![(
        EntityId::SERVER,
        LimitedKind::Server,
        String::new(),
        "this server".to_owned(),
    )];
    let mut add = |kind, limited, bits, id: String, name: &str| {
        all.push((EntityId::new(kind, bits), limited, id, name.to_owned()));
    };
    if let Some(r) = &snapshot.cluster {
        let (bits, id) = (r.id.bits(), r.id.to_string());
        add(EntityKind::Cluster, LimitedKind::Cluster, bits, id, &r.name);
    }
    for r in &snapshot.accounts {
        add(
            EntityKind::Account,
            LimitedKind::Account,
            r.id.bits(),
            r.id.to_string(),
            &r.name,
        );
    }
    for r in &snapshot.users {
        add(
            EntityKind::User,
            LimitedKind::User,
            r.id.bits(),
            r.id.to_string(),
            &r.name,
        );
    }
    for r in &snapshot.customers {
        add(
            EntityKind::Customer,
            LimitedKind::Customer,
            r.id.bits(),
            r.id.to_string(),
            &r.name,
        );
    }
    for r in &snapshot.carriers {
        add(
            EntityKind::Carrier,
            LimitedKind::Carrier,
            r.id.bits(),
            r.id.to_string(),
            &r.name,
        );
    }
    for r in &snapshot.gateways {
        add(
            EntityKind::Gateway,
            LimitedKind::Gateway,
            r.id.bits(),
            r.id.to_string(),
            &r.name,
        );
    }
    for r in &snapshot.numbers {
        add(
            EntityKind::Number,
            LimitedKind::Number,
            r.id.bits(),
            r.id.to_string(),
            &r.number,
        );
    }
    all
}
