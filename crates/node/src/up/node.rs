//! A node on its own: the switch on its thread, its network, its media, and who is told of what.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clock::Time;
use media::{Engine, EngineConfig, Interface, RecordingFormat};
use net::{Net, Shard};
use store::journal::{Journal, JournalConfig, LeftOpen};
use store::{LiveLog, LiveStore};
use switch::{Switch, SwitchConfig};
use tokio::sync::broadcast;

use crate::calls::{CallsEnd, CallsLink};
use crate::certificate::CertificateDesk;
use crate::data::Data;
use crate::hep::HepLink;
use crate::host::{SwitchHost, Tellers};
use crate::locations::LocationHealth;
use crate::machine::SwitchMachine;
use crate::media_servers::MediaLink;
use crate::music::Shelf;
use crate::permits::LiveHealth;
use crate::telemetry::Telemetry;
use crate::trace::{Collector, Teller, TraceLink};
use crate::uploads::{Access, Uploaded, Uploads};
use crate::visit::Visitor;
use crate::{UpOptions, addresses, certificate, listeners};

/// The directory of traced messages.
pub(crate) const TRACES: &str = "traces";
/// The directory of recordings.
const RECORDINGS: &str = "recordings";
/// Events that a slow watcher may be behind before it misses some.
const EVENTS_MAX: usize = 4_096;
/// Between two looks for recordings to upload while none ends here: the operator may have put
/// some there.
const UPLOADS_LOOK: Duration = Duration::from_secs(60);

/// The parts of a node that run.
pub(super) struct Node {
    pub(super) media_link: MediaLink,
    pub(super) net: Net,
    pub(super) visitor: Visitor,
    pub(super) events: broadcast::Sender<control::PlatformEvent>,
    /// How the live store is.
    pub(super) live_health: LiveHealth,
    /// How bindings are shared.
    pub(super) location_health: LocationHealth,
    /// What is shown in handshakes.
    pub(super) certificates: Arc<CertificateDesk>,
    /// Where the thread that shares calls takes its orders.
    pub(super) calls_end: CallsEnd,
    /// Hears other systems of their messages.
    _collector: Collector,
    /// Whether its server was stopped when it began.
    pub(super) is_stopped: bool,
    /// The domain it has started with.
    pub(super) domain: Arc<str>,
    pub(super) sip: JoinHandle<(SwitchMachine, SwitchHost)>,
}

impl Node {
    /// How it is, again and again.
    pub(super) fn telemetry(&self) -> Telemetry {
        let (visitor, net) = (self.visitor.clone(), self.net.clone());
        Telemetry::new(visitor, net, self.certificates.clone(), node_name())
    }
}

const fn ice_agent(options: &UpOptions) -> switch::IceAgent {
    match options.ice_agent {
        media::IceAgent::Lite => switch::IceAgent::Lite,
        media::IceAgent::Full => switch::IceAgent::Full,
    }
}

/// Has the switch keep with others what nodes keep together.
fn share(switch: &mut Switch) {
    switch.share_limits();
    switch.share_calls();
    switch.share_duties();
}

pub(super) fn start_node(
    options: &UpOptions,
    data: &Data,
    snapshot: model::Snapshot,
    now: Time,
) -> Result<Node> {
    let is_stopped = snapshot.stopped;
    let domain: Arc<str> = snapshot.settings.domain.as_str().into();
    let tls = certificate::tls_of(data, options, &snapshot, now)?;
    let config = net::Config {
        tls,
        ..net::Config::default()
    };
    let (net, shard) = Net::open(config).context("the network side did not start")?;
    let certificates = CertificateDesk::new(net.clone(), data, options, &snapshot)?;
    let left_open = match options.live {
        Some(_) => LeftOpen::Unsettled,
        None => LeftOpen::Ended,
    };
    let (journal, recovery) = open_journal(data, left_open, now)?;
    let mut live = LiveLog::open(&data.path("bindings.log")).context("bindings.log")?;
    let mut switch = new_switch(data, recovery.next_sequence)?;
    let (visitor, visits) = Visitor::new(net.waker());
    let engine = start_engine(options, &snapshot.settings, &net)?;
    if options.live.is_some() {
        share(&mut switch);
    }
    switch.configure(now, Arc::new(snapshot));
    restore(&mut switch, &mut live, now)?;
    let (events, _) = broadcast::channel(EVENTS_MAX);
    let agent = ice_agent(options);
    let (media_link, media_said) = MediaLink::start(random()?, agent, net.clock(), net.waker())?;
    let inactivity = inactivity(&switch.snapshot().settings);
    media_link.configure(&switch.snapshot().media_servers, inactivity);
    let media = (media_link.clone(), media_said);
    let uploads = start_uploads(data, &switch.snapshot().settings, &visitor)?;
    let (tellers, collector) = start_tellers(data, &switch, &events)?;
    let told = (tellers.hep.clone(), tellers.trace.tap(Teller::Node));
    let shelf = Shelf::read(switch.snapshot(), &Shelf::default());
    let mut host = SwitchHost::new(
        journal,
        engine,
        Box::new(live),
        media,
        uploads,
        visits,
        tellers,
    );
    host.configure(&switch.snapshot().settings, shelf);
    let (calls_link, calls_end) = CallsLink::new();
    if options.live.is_some() {
        host.share_calls(calls_link, recovery.unsettled);
    }
    let mut machine = SwitchMachine::new(switch, now, told);
    if options.live.is_some() {
        machine.watch_pauses(now);
    }
    let sip = spawn(shard, machine, host)?;
    open_listeners(options, data, &net, &visitor)?;
    Ok(Node {
        media_link,
        net,
        visitor,
        events,
        live_health: LiveHealth::default(),
        location_health: LocationHealth::default(),
        certificates: Arc::new(certificates),
        calls_end,
        _collector: collector,
        is_stopped,
        domain,
        sip,
    })
}

/// A switch whose next record has this number.
fn new_switch(data: &Data, next_sequence: u64) -> Result<Switch> {
    Ok(Switch::new(SwitchConfig {
        node: node_name(),
        product: concat!("Tandem/", env!("CARGO_PKG_VERSION")).into(),
        seed: random()?,
        cluster_key: data.cluster_key()?,
        sequence: next_sequence.saturating_sub(1),
    }))
}

/// Who is told of messages and of what happens, and who tells us of theirs.
fn start_tellers(
    data: &Data,
    switch: &Switch,
    events: &broadcast::Sender<control::PlatformEvent>,
) -> Result<(Tellers, Collector)> {
    let trace = TraceLink::start(&data.path(TRACES), &switch.snapshot().settings.trace)?;
    let collector = Collector::start(&trace)?;
    let tellers = Tellers {
        events: events.clone(),
        hep: HepLink::start(node_name())?,
        trace,
        collector: collector.link(),
    };
    Ok((tellers, collector))
}

fn spawn(
    shard: Shard,
    machine: SwitchMachine,
    host: SwitchHost,
) -> Result<JoinHandle<(SwitchMachine, SwitchHost)>> {
    shard
        .spawn(machine, host)
        .context("no thread for the switch")
}

fn open_journal(
    data: &Data,
    left_open: LeftOpen,
    now: Time,
) -> Result<(Journal, store::journal::Recovery)> {
    let config = JournalConfig {
        left_open,
        recordings: Some(data.path(RECORDINGS)),
        ..JournalConfig::new(node_name())
    };
    let dir = &data.path("journal");
    let (journal, recovery) = Journal::open(dir, config, now)
        .with_context(|| format!("the CDR journal in {}", dir.display()))?;
    if !recovery.closed.is_empty() {
        tracing::warn!(
            calls = recovery.closed.len(),
            "calls that a crash left open were closed"
        );
    }
    Ok((journal, recovery))
}

fn start_engine(options: &UpOptions, settings: &model::Settings, net: &Net) -> Result<Engine> {
    let (first, last) = options.rtp_ports;
    let mut config = EngineConfig::new(first..=last);
    config.recordings = Some(options.data.join(RECORDINGS));
    config.recording_format = recording_format(settings);
    let interface = |bind: IpAddr| Interface {
        bind,
        advertised: addresses::advertised(options, bind),
    };
    match options.bind {
        IpAddr::V4(_) => {
            config.v4 = Some(interface(options.bind));
            let v6 = IpAddr::from([0; 16]);
            let loopback = IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]);
            if options.bind.is_unspecified() && addresses::outgoing(v6).is_some() {
                config.v6 = Some(interface(v6));
            } else if options.bind.is_loopback() && addresses::can_bind(loopback) {
                // Loopback has both families, unless IPv6 is switched off; a bridge between them
                // can be tried on one machine.
                config.v6 = Some(interface(loopback));
            }
        }
        IpAddr::V6(_) => {
            config.v6 = Some(interface(options.bind));
            config.v4 = listeners::other_family(options).map(interface);
        }
    }
    config.inactivity = inactivity(settings);
    config.kernel = options.kernel;
    config.ice_agent = options.ice_agent;
    let waker = net.waker();
    Engine::new(config, move || waker.wake()).context("the media engine did not start")
}

fn start_uploads(data: &Data, settings: &model::Settings, visitor: &Visitor) -> Result<Uploads> {
    let visitor = visitor.clone();
    let told = move |uploaded: Uploaded| {
        // When the switch is gone, nobody watches.
        let _ = visitor.tell(move |now, _, host| host.tell_upload(now, &uploaded));
    };
    let access = Access {
        keys: data.path("s3-keys.json"),
        authorities: data.path("s3-ca.pem"),
    };
    let uploads = Uploads::start(data.path(RECORDINGS), access, UPLOADS_LOOK, told)?;
    uploads.configure(&settings.recording_store);
    Ok(uploads)
}

/// What the files of recordings are to be.
pub(crate) fn recording_format(settings: &model::Settings) -> RecordingFormat {
    match settings.recording_format {
        model::RecordingFormat::Wav => RecordingFormat::Wav,
        model::RecordingFormat::Opus => RecordingFormat::Opus,
    }
}

/// How long a side of a call may send no media.
pub(crate) fn inactivity(settings: &model::Settings) -> Option<Duration> {
    match settings.media_timeout_s {
        0 => None,
        s => Some(Duration::from_secs(s.into())),
    }
}

fn restore(switch: &mut Switch, live: &mut dyn LiveStore, now: Time) -> Result<()> {
    for record in live.load_all(now.as_micros()).context("bindings.log")? {
        let Ok(key) = <[u8; 8]>::try_from(record.key.as_slice()) else {
            continue;
        };
        let record = registrar::Record {
            aor: record.aor.into(),
            key,
            expires_us: record.expires_us,
            body: record.body,
        };
        switch.restore_binding(now, &record);
    }
    Ok(())
}

fn open_listeners(options: &UpOptions, data: &Data, net: &Net, visitor: &Visitor) -> Result<()> {
    for spec in listeners::of_start(options) {
        let status = net.add_listener(&spec).with_context(|| {
            format!(
                "cannot listen on {} {}; `tandem doctor` says who does",
                spec.transport, spec.bind
            )
        })?;
        if status.is_receive_buffer_short() {
            tracing::warn!(
                granted = status.receive_buffer_bytes,
                asked = net::UDP_BUFFER_BYTES,
                "small UDP receive buffer: set net.core.rmem_max"
            );
        }
        announce(visitor, &status)?;
    }
    for spec in listeners::added(data, options) {
        match net.add_listener(&spec) {
            Ok(status) => announce(visitor, &status)?,
            Err(error) => tracing::error!(%error, "an added listener is not open"),
        }
    }
    Ok(())
}

fn announce(visitor: &Visitor, status: &net::ListenerStatus) -> Result<()> {
    let transport = status.spec.transport;
    tracing::info!(id = status.spec.id.0, %transport, address = %status.local, "listening");
    let listener = listeners::for_switch(status);
    visitor.tell(move |_, machine, _| machine.switch.set_listener(listener))?;
    Ok(())
}

/// What this node is called in records of calls: the name of its machine.
pub(crate) fn node_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".into())
}

pub(crate) fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(u64::from_le_bytes(bytes))
}
