//! `tandem up`: the whole platform in one process.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clock::Time;
use control::{Control, NodeSocket, Site, Vault};
use media::{Engine, EngineConfig, Interface, RecordingFormat};
use net::{Net, Shard};
use serde_json::json;
use store::journal::{Journal, JournalConfig, LeftOpen, Shipper, ShipperThread};
use store::{ArrayWatch, CdrStore, LiveLog, LiveStore};
use switch::{Switch, SwitchConfig};
use tokio::sync::broadcast;

use crate::alerts::AlertDesk;
use crate::calls::{Calls, CallsEnd, CallsLink};
use crate::data::{Admin, Data, FirstAdmin};
use crate::duties::Duties;
use crate::first_start::FirstUsers;
use crate::hep::HepLink;
use crate::host::{SwitchHost, Tellers};
use crate::joined::Joined;
use crate::locations::{LocationHealth, Locations};
use crate::machine::SwitchMachine;
use crate::media_servers::MediaLink;
use crate::music::Shelf;
use crate::own_server::{self, node_socket};
use crate::permits::{LiveHealth, Permits};
use crate::platform::NodePlatform;
use crate::retention::Retention;
use crate::roster::Roster;
use crate::signals::{Ended, Restart, Signals};
use crate::starts::Starts;
use crate::stores::Stores;
use crate::telemetry::Telemetry;
use crate::trace::{Collector, Teller, TraceLink};
use crate::uploads::{Access, Uploaded, Uploads};
use crate::visit::Visitor;
use crate::{UpOptions, addresses, array, certificate, files, first_start, listeners};

/// The directory of traced messages.
pub(crate) const TRACES: &str = "traces";
/// Events that a slow watcher may be behind before it misses some.
const EVENTS_MAX: usize = 4_096;
/// Between two looks of the shipper at the journal.
const SHIP_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks for what another node has changed in a shared store.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks for recordings to upload while none ends here: the operator may have put
/// some there.
const UPLOADS_LOOK: Duration = Duration::from_secs(60);

/// Runs the platform until SIGINT or SIGTERM, or until control has it begin anew, with a site beside
/// its API.
///
/// # Errors
/// Something it needs could not be had: a port, the data directory, a certificate.
pub fn up(options: &UpOptions, site: Arc<dyn Site>) -> Result<Ended> {
    // First, so that a second platform on this machine ends before it has touched anything.
    let socket = |port: Option<u16>| port.map(|port| api_socket(options, port)).transpose();
    let (http, https) = (socket(options.http_port)?, socket(options.https_port)?);
    let data = Data::open(&options.data)?;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, data = %options.data.display(), "starting");
    files::raise_limit();
    let now = net::Clock::start().now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("api")
        .enable_all()
        .build()?;
    let stores = match Joined::open(&data, runtime.handle())? {
        Some(joined) => Stores::joined(&data, joined, options.store.as_deref())?,
        None => Stores::open(&data, options.store.as_deref())?,
    };
    let node_socket = node_socket(options, &data, stores.joined.is_some(), now)?;
    let start = stores.begin(&data, options.domain.as_deref(), now)?;
    let node = start_node(options, &data, start.snapshot, now)?;
    let shipper = ship(&data, &stores.cdrs)?;
    let cluster = join_cluster(options, &data, http.as_ref().or(https.as_ref()), &node)?;
    let array = join_array(options, &data, &node)?;
    let watch = array.as_ref().map(|(_, watch)| watch.clone());
    let clock = node.net.clone();
    let (records, cdrs) = (stores.records.clone(), stores.cdrs.clone());
    let retention = Retention::start(records, cdrs, move || clock.clock().now())?;
    let parts = (stores, site, watch);
    let sockets = (http, https, node_socket);
    let result = runtime.block_on(serve(options, &data, sockets, parts, start.users, &node));
    drop(retention);
    drop(array);
    let mut cluster = cluster;
    if let Some(cluster) = &mut cluster {
        cluster.locations = None;
    }
    node.net.stop();
    if let Ok((mut machine, mut host)) = node.sip.join() {
        host.sync(&mut machine.switch);
    }
    drop(cluster);
    drop(shipper);
    tracing::info!("stopped");
    result
}

/// The API's sockets, plain and over TLS, and that of the nodes.
type ApiSockets = (
    Option<std::net::TcpListener>,
    Option<std::net::TcpListener>,
    Option<NodeSocket>,
);

fn api_socket(options: &UpOptions, port: u16) -> Result<std::net::TcpListener> {
    let http = SocketAddr::new(options.bind, port);
    let bind = || {
        let socket = std::net::TcpListener::bind(http)?;
        socket.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(socket)
    };
    bind().with_context(|| format!("cannot listen on {http} for the API"))
}

/// The parts of a node that run.
struct Node {
    media_link: MediaLink,
    net: Net,
    visitor: Visitor,
    events: broadcast::Sender<control::PlatformEvent>,
    /// How the live store is.
    live_health: LiveHealth,
    /// How bindings are shared.
    location_health: LocationHealth,
    /// Where the thread that shares calls takes its orders.
    calls_end: CallsEnd,
    /// Hears other systems of their messages.
    _collector: Collector,
    /// The domain it has started with.
    domain: Arc<str>,
    sip: JoinHandle<(SwitchMachine, SwitchHost)>,
}

impl Node {
    /// How it is, again and again.
    fn telemetry(&self, data: &Data) -> Telemetry {
        let (visitor, net) = (self.visitor.clone(), self.net.clone());
        Telemetry::new(visitor, net, data.clone(), node_name())
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

fn start_node(
    options: &UpOptions,
    data: &Data,
    snapshot: model::Snapshot,
    now: Time,
) -> Result<Node> {
    let domain: Arc<str> = snapshot.settings.domain.as_str().into();
    let tls = certificate::tls(data, options, &snapshot.settings.domain, now)?;
    let config = net::Config {
        tls,
        ..net::Config::default()
    };
    let (net, shard) = Net::open(config).context("the network side did not start")?;
    let left_open = match options.live {
        Some(_) => LeftOpen::Unsettled,
        None => LeftOpen::Ended,
    };
    let (journal, recovery) = open_journal(&data.path("journal"), left_open, now)?;
    let mut live = LiveLog::open(&data.path("bindings.log")).context("bindings.log")?;
    let mut switch = Switch::new(SwitchConfig {
        node: node_name(),
        product: concat!("Tandem/", env!("CARGO_PKG_VERSION")).into(),
        seed: random()?,
        cluster_key: data.cluster_key()?,
        sequence: recovery.next_sequence.saturating_sub(1),
    });
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
        calls_end,
        _collector: collector,
        domain,
        sip,
    })
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

/// What this node does together with others. The calls come first: they are written before the node
/// leaves.
struct Cluster {
    _calls: Calls,
    _duties: Duties,
    locations: Option<Locations>,
    _permits: Permits,
}

/// Where a live store is said, this node keeps its limits together with others, lets them know of its
/// calls, and shares bindings with them unless these are to stay here.
fn join_cluster(
    options: &UpOptions,
    data: &Data,
    api: Option<&std::net::TcpListener>,
    node: &Node,
) -> Result<Option<Cluster>> {
    let (Some(url), Some(api)) = (&options.live, api) else {
        return Ok(None);
    };
    let address = addresses::among_nodes(options).context(
        "--live: no address at which other nodes would find this one; say it with --cluster-address",
    )?;
    let api = SocketAddr::new(address, api.local_addr()?.port());
    let name = node_name();
    let roster = Roster::of(&name)?;
    let (visitor, health) = (node.visitor.clone(), node.live_health.clone());
    let known = (name.as_str(), roster.clone());
    let permits = Permits::start(url, known, api, visitor.clone(), health)?;
    let known = options
        .shares_registrations()
        .then(|| node.location_health.clone());
    let orders = node.calls_end.clone();
    let names = (roster.clone(), Starts::read(data));
    let calls = Calls::start(url, orders, names, visitor.clone(), known)?;
    let duties = Duties::start(url, roster.clone(), visitor)?;
    let locations = if options.shares_registrations() {
        let (visitor, health) = (node.visitor.clone(), node.location_health.clone());
        let known = (roster, api, data.cluster_key_print()?);
        Some(Locations::start(
            url,
            known,
            node.net.clone(),
            visitor,
            health,
        )?)
    } else {
        None
    };
    Ok(Some(Cluster {
        _calls: calls,
        _duties: duties,
        locations,
        _permits: permits,
    }))
}

/// Where an array is said, this server shares bindings with others that are no cluster.
fn join_array(
    options: &UpOptions,
    data: &Data,
    node: &Node,
) -> Result<Option<(Locations, ArrayWatch)>> {
    let Some(flags) = &options.array else {
        return Ok(None);
    };
    let (array, id, place) = array::start(options, flags, data, &node_name())?;
    let watch = array.watch();
    let known = (Roster::fixed(&id), place, data.cluster_key_print()?);
    let (visitor, health) = (node.visitor.clone(), node.location_health.clone());
    let locations = Locations::start_in_array(array, known, node.net.clone(), visitor, health)?;
    Ok(Some((locations, watch)))
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
    dir: &Path,
    left_open: LeftOpen,
    now: Time,
) -> Result<(Journal, store::journal::Recovery)> {
    let config = JournalConfig {
        left_open,
        ..JournalConfig::new(node_name())
    };
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

fn ship(data: &Data, cdrs: &Arc<dyn CdrStore>) -> Result<ShipperThread> {
    let shipper = Shipper::open(&data.path("journal")).context("the CDR journal")?;
    shipper
        .spawn(cdrs.clone(), SHIP_INTERVAL)
        .context("no thread for the CDR shipper")
}

fn start_engine(options: &UpOptions, settings: &model::Settings, net: &Net) -> Result<Engine> {
    let (first, last) = options.rtp_ports;
    let mut config = EngineConfig::new(first..=last);
    config.recordings = Some(options.data.join("recordings"));
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
    let uploads = Uploads::start(data.path("recordings"), access, UPLOADS_LOOK, told)?;
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

async fn serve(
    options: &UpOptions,
    data: &Data,
    (http, https, nodes): ApiSockets,
    (stores, site, array): (Stores, Arc<dyn Site>, Option<ArrayWatch>),
    users: FirstUsers,
    node: &Node,
) -> Result<Ended> {
    let signals = Signals::listen()?;
    let plain = http.map(tokio::net::TcpListener::from_std);
    let plain = plain.transpose().context("the API's socket")?;
    let host = if options.bind.is_unspecified() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        options.bind
    };
    let secure = https
        .map(|https| secure_socket(https, &node.net))
        .transpose()?;
    let url = |scheme: &str, socket: &tokio::net::TcpListener| {
        let port = socket.local_addr().map_or(0, |local| local.port());
        format!("{scheme}://{}", SocketAddr::new(host, port))
    };
    let urls = Urls {
        http: plain.as_ref().map(|socket| url("http", socket)),
        https: secure.as_ref().map(|secure| url("https", &secure.listener)),
    };
    let now = node.net.clock().now();
    let records = stores.records.clone();
    let admin = first_start::admin(data, &records, urls.usual(), now)?;
    let signs_in = match &stores.joined {
        Some(joined) => SignsIn::At(joined.control().to_owned()),
        None => first_start::administrator(data, &records, now)?
            .map_or(SignsIn::AsBefore, SignsIn::First),
    };
    let platform = NodePlatform {
        visitor: node.visitor.clone(),
        media_link: node.media_link.clone(),
        net: node.net.clone(),
        events: node.events.clone(),
        options: options.clone(),
        data: data.clone(),
        snapshot_file: stores.snapshot_file,
        live: options.live.is_some().then(|| node.live_health.clone()),
        locations: (options.shares_registrations() || array.is_some())
            .then(|| node.location_health.clone()),
        array,
        adding: tokio::sync::Mutex::default(),
        shelf: Arc::default(),
    };
    let platform = Arc::new(platform);
    let vault = Vault::new(&data.cluster_key()?);
    let control = Control::with_site(records.clone(), stores.cdrs, platform, vault, site);
    let restart = Restart::default();
    let lines = (stores.joined.map(|joined| (joined, restart.clone())), nodes);
    own_server::open_lines(lines, &control, (data, &records), node.telemetry(data))?;
    if stores.shared {
        tokio::spawn(control::follow(control.clone(), FOLLOW_INTERVAL));
    }
    let desk = Arc::new(AlertDesk::new(data.clone(), node_name()));
    let alerts = tokio::spawn(control.clone().watch(desk));
    // The first visit waits for the switch to have taken all listeners.
    node.visitor.ask(|_, _, _| ()).await?;
    print_ready(options, node, (&admin, &urls, &signs_in), &users);
    tracing::info!(api = urls.usual(), "ready");
    let (net, data, options) = (node.net.clone(), data.clone(), options.clone());
    let read_again = move || match certificate::read_again(&net, &data, &options, &records) {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "the certificate stays"),
    };
    let stop = signals.stop(node.visitor.clone(), restart.clone(), read_again);
    let sockets = control::Sockets { plain, secure };
    control::serve(sockets, control, stop)
        .await
        .context("the API")?;
    alerts.abort();
    Ok(restart.ended())
}

/// Who signs in to the panel, as it is said at the start.
enum SignsIn {
    /// The first administrator, with the password that was made.
    First(FirstAdmin),
    /// Whoever did.
    AsBefore,
    /// Nobody here: the panel of the platform is at control.
    At(String),
}

/// Where the API is asked.
struct Urls {
    http: Option<String>,
    https: Option<String>,
}

impl Urls {
    /// Where this machine's command line asks.
    fn usual(&self) -> &str {
        let usual = self.http.as_deref().or(self.https.as_deref());
        usual.unwrap_or_default()
    }
}

/// A socket of the API that shows the certificates of SIP over TLS.
fn secure_socket(socket: std::net::TcpListener, net: &Net) -> Result<control::SecureSocket> {
    Ok(control::SecureSocket {
        listener: tokio::net::TcpListener::from_std(socket).context("the API's socket")?,
        tls: net.tls_server("http/1.1").context("TLS for the API")?,
    })
}

fn print_ready(
    options: &UpOptions,
    node: &Node,
    (admin, urls, signs_in): (&Admin, &Urls, &SignsIn),
    users: &FirstUsers,
) {
    let domain = &*node.domain;
    let first = match signs_in {
        SignsIn::First(first) => Some(first),
        SignsIn::AsBefore | SignsIn::At(_) => None,
    };
    let mut sip = serde_json::Map::new();
    for status in node.net.listeners() {
        let name = status.spec.transport.param_name();
        let address = listeners::for_switch(&status).advertised.to_string();
        sip.entry(name).or_insert(json!(address));
    }
    if options.json {
        let line = json!({
            "sip": sip,
            "http": urls.http,
            "https": urls.https,
            "users": users.known,
            "domain": domain,
            "token": admin.token,
            "sign_in": first,
            "pid": std::process::id(),
        });
        println!("{line}");
        return;
    }
    println!("Tandem is up.\n");
    for (transport, address) in &sip {
        println!(
            "  SIP {transport:<4} {}",
            address.as_str().unwrap_or_default()
        );
    }
    let program = program();
    for url in [&urls.http, &urls.https].into_iter().flatten() {
        if !matches!(signs_in, SignsIn::At(_)) {
            println!("  panel    {url}/");
        }
        if let Some(FirstAdmin { name, password }) = first {
            println!("           sign in as {name}, password {password}");
        }
        println!("  API      {url}");
    }
    println!("  domain   {domain}\n");
    for user in &users.known {
        println!("  user {:<8} password {}", user.name, user.password);
    }
    for name in &users.unknown {
        println!("  user {name:<8} set a new password: {program} user update {name} --password …");
    }
    let list = format!("{program} --data {} call list", options.data.display());
    if let SignsIn::At(control) = signs_in {
        println!("A node of the platform whose control is {control}: records and panel are there.");
        println!("{list}");
        return;
    }
    println!("\nPut these into two softphones and call each other, or 600 for the echo.");
    println!("{list}");
    if first.is_none() {
        println!("A password for the panel: {program} person update NAME --password …");
    }
}

/// How this program was called: a reader can type it again, installed or not.
fn program() -> String {
    let called = std::env::args().next();
    called.unwrap_or_else(|| "tandem".into())
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
