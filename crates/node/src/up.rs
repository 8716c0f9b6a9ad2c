//! `tandem up`: the whole platform in one process.

mod cluster;
mod node;
mod ready;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use control::{Control, Duty, NodeSocket, Site, Vault};
use link::RefusedLines;
use net::Net;
use store::journal::{Shipper, ShipperThread};
use store::{ArrayWatch, CdrStore, HistoryStore, Records};

use crate::acme::AcmeDesk;
use crate::alerts::AlertDesk;
use crate::data::Data;
use crate::doors::{Doors, Position};
use crate::first_start::FirstUsers;
use crate::history::History;
use crate::joined::Joined;
use crate::oidc::OidcDesk;
use crate::own_server::{self, node_socket};
use crate::platform::NodePlatform;
use crate::retention::Retention;
use crate::signals::{Ended, Restart, Signals};
use crate::snapshot_file::SnapshotFile;
use crate::stores::Stores;
use crate::{UpOptions, files, first_start, virtual_address};

pub(crate) use node::{TRACES, inactivity, node_name, random, recording_format};

use cluster::{join_array, join_cluster};
use node::{Node, start_node};
use ready::{SignsIn, Urls, print_ready};

/// Between two looks of the shipper at the journal.
const SHIP_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks for what another node has changed in a shared store.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

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
    let parts = (stores, site, watch);
    let sockets = (http, https, node_socket);
    let result = runtime.block_on(serve(options, &data, sockets, parts, start.users, &node));
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

fn ship(data: &Data, cdrs: &Arc<dyn CdrStore>) -> Result<ShipperThread> {
    let shipper = Shipper::open(&data.path("journal")).context("the CDR journal")?;
    shipper
        .spawn(cdrs.clone(), SHIP_INTERVAL)
        .context("no thread for the CDR shipper")
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
    let secure = https
        .map(|https| secure_socket(https, &node.net))
        .transpose()?;
    if let Some(address) = secure.as_ref().and_then(|s| s.listener.local_addr().ok()) {
        node.certificates.serves_https(address);
    }
    let urls = urls_of(options, plain.as_ref(), secure.as_ref());
    let now = node.net.clock().now();
    let records = stores.records.clone();
    let admin = first_start::admin(data, &records, urls.usual(), now)?;
    let signs_in = match &stores.joined {
        Some(joined) => SignsIn::At(joined.control().to_owned()),
        None => first_start::administrator(data, &records, now)?
            .map_or(SignsIn::AsBefore, SignsIn::First),
    };
    if let Some(address) = options.virtual_address {
        tokio::spawn(virtual_address::watch(address, node.visitor.clone()));
    }
    let refused_lines = nodes.as_ref().map(|socket| socket.refused.clone());
    let kept = (stores.snapshot_file, array, refused_lines);
    let doors = Doors::new();
    if node.is_stopped {
        doors.set(Position::Closed);
    }
    tokio::spawn(doors.clone().keep(node.net.clone(), node.visitor.clone()));
    let platform = Arc::new(platform_of(options, data, node, (kept, doors)));
    let vault = Vault::new(&data.cluster_key()?);
    let cdrs = stores.cdrs;
    let control = Control::with_site(records.clone(), cdrs.clone(), platform, vault, site);
    let history = keep_history((&stores.history, &stores.joined), data, &control, node)?;
    keep_exports(&stores.joined, data, &control);
    let restart = Restart::default();
    let lines = (stores.joined.map(|joined| (joined, restart.clone())), nodes);
    own_server::open_lines(lines, &control, (data, &records), node.telemetry())?;
    if stores.shared {
        tokio::spawn(control::follow(control.clone(), FOLLOW_INTERVAL));
    }
    let desk = Arc::new(AlertDesk::new(
        data.clone(),
        node_name(),
        node.certificates.clone(),
    ));
    control.signs_in_by(Arc::new(OidcDesk::new(data.clone())));
    let alerts = tokio::spawn(control.clone().watch(desk));
    let _retention = forget_old((records, cdrs), &control, node)?;
    let acme = Arc::new(AcmeDesk::new(data, options));
    tokio::spawn(control.clone().keep_certificates(acme));
    // The first visit waits for the switch to have taken all listeners.
    node.visitor.ask(|_, _, _| ()).await?;
    print_ready(options, node, (&admin, &urls, &signs_in), &users);
    tracing::info!(api = urls.usual(), "ready");
    let certificates = node.certificates.clone();
    let read_again = move || match certificates.read_again() {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "the certificate stays"),
    };
    let stop = signals.stop(node.visitor.clone(), restart.clone(), read_again);
    let sockets = control::Sockets { plain, secure };
    control::serve(sockets, control, stop)
        .await
        .context("the API")?;
    alerts.abort();
    history.end().await;
    Ok(restart.ended())
}

/// What of the platform is kept here, with whom, and who was refused.
type Kept = (
    Option<SnapshotFile>,
    Option<ArrayWatch>,
    Option<Arc<RefusedLines>>,
);

/// The node as the API sees it.
fn platform_of(
    options: &UpOptions,
    data: &Data,
    node: &Node,
    ((snapshot_file, array, refused_lines), doors): (Kept, Doors),
) -> NodePlatform {
    NodePlatform {
        visitor: node.visitor.clone(),
        media_link: node.media_link.clone(),
        net: node.net.clone(),
        events: node.events.clone(),
        options: options.clone(),
        data: data.clone(),
        snapshot_file,
        live: options.live.is_some().then(|| node.live_health.clone()),
        locations: (options.shares_registrations() || array.is_some())
            .then(|| node.location_health.clone()),
        array,
        refused_lines,
        adding: tokio::sync::Mutex::default(),
        shelf: Arc::default(),
        certificates: node.certificates.clone(),
        doors,
    }
}

/// Where the API is asked.
fn urls_of(
    options: &UpOptions,
    plain: Option<&tokio::net::TcpListener>,
    secure: Option<&control::SecureSocket>,
) -> Urls {
    let host = if options.bind.is_unspecified() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        options.bind
    };
    let url = |scheme: &str, socket: &tokio::net::TcpListener| {
        let port = socket.local_addr().map_or(0, |local| local.port());
        format!("{scheme}://{}", SocketAddr::new(host, port))
    };
    Urls {
        http: plain.map(|socket| url("http", socket)),
        https: secure.map(|secure| url("https", &secure.listener)),
    }
}

/// Begins to delete old CDRs, where no other control does.
fn forget_old(
    (records, cdrs): (Arc<dyn Records>, Arc<dyn CdrStore>),
    control: &Control,
    node: &Node,
) -> Result<Retention> {
    let (clock, control) = (node.net.clone(), control.clone());
    let now = move || clock.clock().now();
    let may = move || control.has_duty(Duty::Retention);
    Retention::start(records, cdrs, (now, may))
}

/// Begins to keep what this node does.
fn keep_history(
    (store, joined): (&Arc<dyn HistoryStore>, &Option<Joined>),
    data: &Data,
    control: &Control,
    node: &Node,
) -> Result<History> {
    let clock = node.net.clone();
    let now_us = move || clock.clock().now().as_micros();
    let own = match joined {
        Some(joined) => joined.server()?,
        None => own_server::identity(data, node.net.clock().now())?,
    };
    control.has_history(store.clone(), own);
    let kept = (store.clone(), own);
    Ok(History::start(node.visitor.clone(), kept, now_us))
}

/// Exports of CDRs are written beside all else; of a node that has joined, control has the CDRs.
fn keep_exports(joined: &Option<Joined>, data: &Data, control: &Control) {
    let path = data.path("exports");
    if joined.is_none()
        && let Err(error) = control.keeps_exports(&path)
    {
        let path = path.display();
        tracing::warn!(%path, %error, "no exports of CDRs can be ordered until control is started again");
    }
}

/// A socket of the API that shows the certificates of SIP over TLS.
fn secure_socket(socket: std::net::TcpListener, net: &Net) -> Result<control::SecureSocket> {
    Ok(control::SecureSocket {
        listener: tokio::net::TcpListener::from_std(socket).context("the API's socket")?,
        tls: net.tls_server("http/1.1").context("TLS for the API")?,
    })
}
