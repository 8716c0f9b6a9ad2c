//! The media server role alone in a process.

mod member;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Sender, bounded};
use ipnet::IpNet;
use media::{EngineConfig, Interface, KernelPath, NamedInterface, RecordingFormat};
use media_server::{Config, MediaServer, MoreMetrics, SeenRtcp, UPLOADS_TOLD_MAX};
use model::{HepTransport, RecordingStore, ServerRole, Settings};
use net::Clock;
use ng::Happening;
use tokio::signal::unix::{SignalKind, signal};

use self::member::Member;
use crate::data::Data;
use crate::hep::HepLink;
use crate::joined::Edge;
use crate::metrics;
use crate::signals::{Ended, Restart};
use crate::uploads::{Access, Queue, Receipt, Uploaded, Uploads};

/// How a media server runs as a process.
#[derive(Clone, Debug)]
pub struct MediaOptions {
    /// A directory; if it has joined a platform as a media server, there is a line to control.
    pub data: PathBuf,
    /// Where requests come as datagrams.
    pub udp: Vec<SocketAddr>,
    /// Where they come in streams.
    pub tcp: Vec<SocketAddr>,
    /// Where they come over HTTP and WebSocket.
    pub http: Vec<SocketAddr>,
    /// Who may ask; empty: this machine.
    pub allowed: Vec<IpNet>,
    /// Addresses for media. Those without a name are used where no name is asked for.
    pub interfaces: Vec<RtpInterface>,
    /// Ports for media, both ends included.
    pub rtp_ports: (u16, u16),
    /// Whether plain RTP is relayed in the kernel.
    pub kernel: KernelPath,
    /// Threads for media.
    pub workers: usize,
    /// Where the server is.
    pub zone: String,
    /// Other names and addresses it is known by.
    pub aliases: Vec<String>,
    /// Sessions it takes at most; 0: as many as its ports carry.
    pub sessions_max: usize,
    /// How long a deleted call lives on, if the request does not say.
    pub delete_delay: Duration,
    /// How long nobody may be heard before a call is given up; zero: for ever.
    pub media_timeout: Duration,
    /// Where recordings go.
    pub recordings: Option<PathBuf>,
    /// What their files are.
    pub recording_format: RecordingFormat,
    /// Where they are taken from there.
    pub recording_store: RecordingStore,
    /// The file of its keys, if the environment has none.
    pub recording_keys: PathBuf,
    /// The file of the authorities its certificate has to lead to; if there is none, those that
    /// the system trusts.
    pub recording_authorities: PathBuf,
    /// Who is told of the RTCP of calls.
    pub hep: Option<HepTarget>,
    /// How long the calls there are may go on after SIGTERM; zero: not at all.
    pub drain: Duration,
    /// Whether one line of JSON on standard output says that it is ready, and where.
    pub ready: Ready,
}

/// A HEP collector, and as whom it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HepTarget {
    /// `host:port`.
    pub collector: String,
    /// Over what it is told.
    pub transport: HepTransport,
    /// The number that tells this server from others.
    pub node_id: u32,
}

/// An address for media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpInterface {
    /// What it is asked for by; `None`: it is used where no name is.
    pub name: Option<String>,
    /// The local address.
    pub bind: IpAddr,
    /// What peers are told.
    pub advertised: IpAddr,
}

/// Whether a process says on standard output that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It does.
    Said,
    /// It does not.
    Unsaid,
}

/// Runs a media server until SIGINT or SIGTERM, or until control has it begin anew. SIGUSR1 lets it take no new sessions, SIGUSR2
/// lets it take them again.
///
/// # Errors
/// A port, an address or a thread could not be had.
pub fn media(options: MediaOptions) -> Result<Ended> {
    crate::files::raise_limit();
    let edge = edge(&options.data)?;
    let places = Member::places(&options);
    let (drain, ready) = (options.drain, options.ready);
    // It ends with the process, in the middle of a file if need be.
    let (told, uploaded) = bounded(UPLOADS_TOLD_MAX);
    let uploads = start_uploads(&options, told)?;
    let rtcp = options.hep.clone().map(tell_rtcp).transpose()?;
    let mut config = config(options)?;
    config.rtcp = rtcp;
    config.uploads = Some(uploaded);
    if let Some(uploads) = &uploads {
        let figures = uploads.figures.clone();
        config.more_metrics = MoreMetrics::new(move || metrics::uploads(&figures));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut stay_away = listen(SignalKind::user_defined1())?;
        let mut come_back = listen(SignalKind::user_defined2())?;
        // It has a runtime of its own, which must not be started or dropped within this one.
        let start = tokio::task::spawn_blocking(|| MediaServer::start(config));
        let server = start.await?.context("the media server cannot start")?;
        let restart = Restart::default();
        let line = edge.map(|edge| {
            let mut member = Member::new(&server, places, restart.clone());
            member.begin(&edge);
            tokio::spawn(edge.keep_line(member))
        });
        announce(&server, ready)?;
        loop {
            tokio::select! {
                _ = interrupt.recv() => break,
                () = restart.ordered() => break,
                _ = terminate.recv() => {
                    if !drain.is_zero() {
                        server.drain();
                        let empty = wait_until_drained(&server);
                        tokio::select! {
                            _ = interrupt.recv() => {}
                            _ = terminate.recv() => {}
                            _ = tokio::time::timeout(drain, empty) => {}
                        }
                    }
                    break;
                }
                _ = stay_away.recv() => server.drain(),
                _ = come_back.recv() => server.resume(),
            }
        }
        tracing::info!("stopping");
        if let Some(line) = line {
            line.abort();
        }
        tokio::task::spawn_blocking(move || drop(server)).await?;
        Ok(restart.ended())
    })
}

/// What a directory says of the platform that it has joined. One that has joined as something else is
/// that of another process on this machine.
fn edge(directory: &Path) -> Result<Option<Edge>> {
    match Edge::is_in(directory, ServerRole::Media) {
        true => Edge::open(&Data::open(directory)?, ServerRole::Media),
        false => Ok(None),
    }
}

/// Starts to tell a collector of what comes by the channel.
fn tell_rtcp(target: HepTarget) -> Result<Sender<SeenRtcp>> {
    let hep = HepLink::start(NODE_NAME.to_owned())?;
    hep.configure(&Settings {
        hep_collector: Some(target.collector),
        hep_transport: target.transport,
        hep_node_id: target.node_id,
        ..Settings::default()
    });
    let (told, heard) = bounded::<SeenRtcp>(RTCP_MAX);
    let clock = Clock::start();
    std::thread::Builder::new()
        .name("rtcp".into())
        .spawn(move || {
            for SeenRtcp {
                report,
                correlation,
            } in heard
            {
                hep.rtcp(report, &correlation, clock.now().as_micros());
            }
        })
        .context("no thread for RTCP")?;
    Ok(told)
}

/// `None` without a directory of recordings. What becomes of files is told to switches, those first
/// that were taken to the store by an earlier process.
fn start_uploads(options: &MediaOptions, told: Sender<Happening>) -> Result<Option<Uploads>> {
    let Some(recordings) = options.recordings.clone() else {
        return Ok(None);
    };
    let access = Access {
        keys: options.recording_keys.clone(),
        authorities: options.recording_authorities.clone(),
    };
    let queue = Queue::new(recordings.clone());
    for (file, receipt) in queue.latest_receipts(UPLOADS_TOLD_MAX / 2) {
        // There is room for as many.
        let _ = told.try_send(happening(&queue.path(&file), receipt));
    }
    let tell = move |uploaded: Uploaded| {
        let path = queue.path(&uploaded.file);
        let happening = match uploaded.result {
            Ok(_) => queue
                .receipt(&uploaded.file)
                .map(|receipt| happening(&path, receipt)),
            Err(reason) => Some(Happening::UploadFailed {
                file: path.display().to_string(),
                reason,
            }),
        };
        // Better a piece of news less than a file that waits: the log has it already.
        let _ = happening.map(|happening| told.try_send(happening));
    };
    let uploads = Uploads::start(recordings, access, UPLOADS_LOOK, tell)?;
    uploads.configure(&options.recording_store);
    Ok(Some(uploads))
}

/// What switches are told of a file that the store has.
fn happening(path: &Path, receipt: Receipt) -> Happening {
    Happening::Uploaded {
        file: path.display().to_string(),
        location: receipt.location,
        bytes: receipt.bytes,
        length_ms: receipt.length_ms,
        changed_us: receipt.changed_us,
        uploaded_us: receipt.uploaded_us,
    }
}

fn config(options: MediaOptions) -> Result<Config> {
    let (first, last) = options.rtp_ports;
    let mut engine = EngineConfig::new(first..=last);
    engine.workers = options.workers;
    engine.kernel = options.kernel;
    engine.recordings = options.recordings;
    engine.recording_format = options.recording_format;
    engine.inactivity = Some(options.media_timeout).filter(|timeout| !timeout.is_zero());
    for interface in options.interfaces {
        add_interface(&mut engine, interface)?;
    }
    let mut config = Config::new(engine);
    if !options.allowed.is_empty() {
        config.allowed = options.allowed;
    }
    config.udp = options.udp;
    config.tcp = options.tcp;
    config.http = options.http;
    config.zone = options.zone;
    config.aliases = options.aliases;
    config.sessions_max = options.sessions_max;
    config.delete_delay = options.delete_delay;
    Ok(config)
}

fn add_interface(engine: &mut EngineConfig, interface: RtpInterface) -> Result<()> {
    let RtpInterface {
        name,
        bind,
        advertised,
    } = interface;
    let (v4, v6) = match &name {
        None => (&mut engine.v4, &mut engine.v6),
        Some(name) => {
            let known = engine.named.iter().position(|known| known.name == *name);
            let at = known.unwrap_or_else(|| {
                engine.named.push(NamedInterface {
                    name: name.clone(),
                    v4: None,
                    v6: None,
                });
                engine.named.len() - 1
            });
            let named = &mut engine.named[at];
            (&mut named.v4, &mut named.v6)
        }
    };
    let place = if bind.is_ipv4() { v4 } else { v6 };
    let before = place.replace(Interface { bind, advertised });
    let name = name.as_deref().unwrap_or("without a name");
    anyhow::ensure!(
        before.is_none(),
        "two addresses of one family for the interface {name}"
    );
    Ok(())
}

async fn wait_until_drained(server: &MediaServer) {
    while !server.is_drained() {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

fn announce(server: &MediaServer, ready: Ready) -> Result<()> {
    let addresses = server.addresses();
    let list = |addresses: &[SocketAddr]| {
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        addresses
    };
    let (udp, tcp, http) = (
        list(&addresses.udp),
        list(&addresses.tcp),
        list(&addresses.http),
    );
    tracing::info!(
        udp = udp.join(","),
        tcp = tcp.join(","),
        http = http.join(","),
        "the media server takes requests"
    );
    if ready == Ready::Said {
        let line = serde_json::json!({"udp": udp, "tcp": tcp, "http": http});
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())?;
    }
    Ok(())
}

/// What collectors show for a media server.
const NODE_NAME: &str = "media";
/// Reports that wait to be told; beyond, they are dropped.
const RTCP_MAX: usize = 1_024;
/// Between two looks for recordings to upload.
const UPLOADS_LOOK: Duration = Duration::from_secs(2);
/// Between two looks at whether the last session has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(200);
