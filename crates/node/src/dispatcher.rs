//! The dispatcher role alone in a process.

mod api;
mod drain;
mod listeners;
mod machine;
mod member;
mod metrics;
mod names;
mod options;
mod settings;
mod state;
mod turns;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use balancer::Admission;
use dispatcher::Target;
use model::{DispatchAlgorithm, Dispatching, ServerRole};
use net::Net;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

pub use self::options::{DispatcherOptions, Listen};
pub use self::settings::TargetRecord;

use self::machine::{Desk, DispatcherHost, DispatcherMachine};
use self::member::Member;
use self::names::Desired;
use self::settings::Settings;
use self::state::{State, Wish};
use self::turns::Turns;
use self::watch::Watch;
use crate::data::{Admin, Data, write_secret};
use crate::joined::Edge;
use crate::signals::{Ended, Restart};
use crate::trace::{Teller, TraceLink};
use crate::{Ready, UpOptions, certificate, files, up};

/// Runs a dispatcher until SIGINT or SIGTERM, or until control has it begin anew. SIGHUP has it read
/// its certificate and its configuration again. In a data directory that has joined a platform it
/// has a line to control.
///
/// # Errors
/// A port, a file or a thread could not be had, or the configuration is none.
pub fn dispatcher(options: DispatcherOptions) -> Result<Ended> {
    files::raise_limit();
    let data = Data::open(&options.data)?;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, data = %options.data.display(), "starting a dispatcher");
    let edge = Edge::open(&data, ServerRole::Dispatcher)?;
    let mut running = start(&options, &data, edge.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(serve(options, &data, &mut running, edge));
    running.net.stop();
    if running.sip.join().is_err() {
        tracing::error!("the thread of the dispatcher had panicked");
    }
    tracing::info!("stopped");
    result
}

/// How many targets a dispatcher would begin with, if it understands its configuration; nothing
/// is opened or changed.
///
/// # Errors
/// It does not.
pub fn dispatcher_targets(options: &DispatcherOptions) -> Result<usize> {
    let settings = settings::read(options)?;
    let config = settings.config(&options.names, [0; 32], 0)?;
    let desired = Desired::new(settings.own_records());
    let targets = desired.targets()?;
    dispatcher::Dispatcher::new(config).set_targets(clock::Time::ZERO, &targets)?;
    Ok(desired.records.len())
}

/// The parts that run.
struct Running {
    net: Net,
    desk: Desk,
    sip: JoinHandle<(DispatcherMachine, DispatcherHost)>,
    desired: Desired,
    turns: Turns,
    algorithm: DispatchAlgorithm,
    /// Where messages are kept; `None`: it has not joined a platform.
    trace: Option<TraceLink>,
}

/// Starts the parts, by control's word from the first request on: a target that drains gets none because
/// the process began anew. A set of control's that cannot be taken is told later, with the reason.
fn start(options: &DispatcherOptions, data: &Data, edge: Option<&Edge>) -> Result<Running> {
    let server = edge.and_then(Edge::server);
    let server = server.as_deref();
    let mut settings = settings::read(options)?;
    let set = server.and_then(|server| server.dispatching.as_ref());
    let begun = set.and_then(|set| begin_by(options, &mut settings, set));
    let (desired, targets) = match begun {
        Some(begun) => begun,
        None => {
            let desired = Desired::new(settings::records(&settings, data));
            let targets = desired.targets()?;
            (desired, targets)
        }
    };
    let now = net::Clock::start().now();
    let domain = options.names.first().map_or("localhost", String::as_str);
    let config = net::Config {
        tls: certificate::tls(data, &tls_options(options), domain, now)?,
        ..net::Config::default()
    };
    let (net, shard) = Net::open(config).context("the network side did not start")?;
    let key = key(options, data)?;
    let (algorithm, turns) = (settings.algorithm()?, Turns::default());
    let config = settings.config(&options.names, key, getrandom::u64()?)?;
    let mut machine = dispatcher::Dispatcher::new(config);
    machine
        .set_targets(now, &targets)
        .context("the targets are no set")?;
    machine.set_admission(server.map_or(Admission::Open, member::admission));
    let (desk, visits) = Desk::new(net.waker());
    let trace = edge.map(|edge| TraceLink::start(&data.path(up::TRACES), edge.trace_settings()));
    let trace = trace.transpose()?;
    let watch = trace
        .as_ref()
        .map(|link| Watch::new(link.tap(Teller::Node)));
    let (machine, host) = (
        DispatcherMachine::new(machine, watch, now),
        DispatcherHost::new(visits, turns.clone()),
    );
    let sip = shard
        .spawn(machine, host)
        .context("no thread for the dispatcher")?;
    listeners::open(options, &net, &desk)?;
    Ok(Running {
        net,
        desk,
        sip,
        desired,
        turns,
        algorithm,
        trace,
    })
}

/// Control's set, where it is one; it is chosen by what it says then.
fn begin_by(
    options: &DispatcherOptions,
    settings: &mut Settings,
    set: &Dispatching,
) -> Option<(Desired, Vec<Target>)> {
    let desired = Desired::new(set.targets.iter().map(TargetRecord::from).collect());
    let targets = desired.targets().ok()?;
    let config = settings.config(&options.names, [0; 32], 0).ok()?;
    let mut tried = dispatcher::Dispatcher::new(config);
    tried.set_targets(clock::Time::ZERO, &targets).ok()?;
    settings.choose_by(set.algorithm);
    Some((desired, targets))
}

/// The key that the dispatchers of a cluster share: a file of 32 bytes, as told, or one of our
/// own that is made at the first start.
fn key(options: &DispatcherOptions, data: &Data) -> Result<[u8; 32]> {
    let Some(path) = &options.key else {
        return data.cluster_key();
    };
    if !path.exists() {
        let mut key = [0; 32];
        getrandom::fill(&mut key).context("the system gives no random numbers")?;
        write_secret(path, &key)?;
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    bytes
        .try_into()
        .map_err(|_| anyhow::anyhow!("{} is not 32 bytes long", path.display()))
}

/// What the certificate is made for.
fn tls_options(options: &DispatcherOptions) -> UpOptions {
    let secure = options.listen.iter().find(|l| l.transport.is_secure());
    let bind = secure.or(options.listen.first());
    UpOptions {
        data: options.data.clone(),
        store: None,
        live: None,
        registrations: crate::Registrations::Local,
        array: None,
        bind: bind.map_or(IpAddr::from([0; 4]), |listen| listen.address.ip()),
        advertise: options.advertise,
        virtual_address: None,
        cluster_address: None,
        sip_port: 0,
        tls_port: 0,
        ws_port: 0,
        wss_port: 0,
        http_port: None,
        https_port: None,
        node_port: None,
        rtp_ports: (0, 0),
        kernel: media::KernelPath::Off,
        ice_agent: media::IceAgent::Lite,
        domain: None,
        json: false,
    }
}

async fn serve(
    options: DispatcherOptions,
    data: &Data,
    running: &mut Running,
    edge: Option<Edge>,
) -> Result<Ended> {
    let listen = |kind| signal(kind).context("cannot listen to signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let api = tokio::net::TcpListener::bind(options.api)
        .await
        .with_context(|| format!("cannot listen on {} for the API", options.api))?;
    let admin = admin(data, api.local_addr()?)?;
    let drain = options.drain;
    let state = Arc::new(State {
        desk: running.desk.clone(),
        net: running.net.clone(),
        data: data.clone(),
        token: admin.token.clone(),
        desired: tokio::sync::Mutex::new(std::mem::take(&mut running.desired)),
        options,
        turns: running.turns.clone(),
        trace: running.trace.clone(),
        wish: Mutex::new(Wish {
            algorithm: running.algorithm,
            ..Wish::default()
        }),
    });
    // The first visit waits for the machine to have taken all listeners.
    state.desk.ask(|_, _| ()).await?;
    if let Some(server) = edge.as_ref().and_then(Edge::server)
        && server.dispatching.is_some()
    {
        state.obey(server.dispatching.clone()).await;
    }
    // Calls for targets that are known need not wait for the names of others.
    let located = tokio::time::timeout(LOCATE_PATIENCE, state.locate()).await;
    let again_in = located.unwrap_or(Duration::ZERO);
    announce(&state, &admin)?;
    let serving = tokio::spawn(api::serve(api, state.clone()));
    let locating = tokio::spawn(locate_again(state.clone(), again_in));
    let restart = Restart::default();
    let member = Member::new(state.clone(), restart.clone());
    let line = edge.map(|edge| tokio::spawn(edge.keep_line(member)));
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            () = restart.ordered() => break,
            _ = terminate.recv() => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    () = drain::wait(&state, drain) => {}
                }
                break;
            }
            _ = hang_up.recv() => read_again(&state).await,
        }
    }
    serving.abort();
    locating.abort();
    if let Some(line) = line {
        line.abort();
    }
    Ok(restart.ended())
}

/// Asks for the names of targets for ever.
async fn locate_again(state: Arc<State>, mut again_in: Duration) {
    loop {
        tokio::time::sleep(again_in).await;
        again_in = state.locate().await;
    }
}

/// Where the API is and a token for it: for `tandem dispatcher target` on this machine. The token
/// stays the same over restarts.
fn admin(data: &Data, at: SocketAddr) -> Result<Admin> {
    let known = data.read::<Admin>("admin.json").map(|admin| admin.token);
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    let fresh: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let ip = if at.ip().is_unspecified() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        at.ip()
    };
    let admin = Admin {
        http: format!("http://{}", SocketAddr::new(ip, at.port())),
        token: known.unwrap_or(fresh),
    };
    data.write("admin.json", &admin)?;
    Ok(admin)
}

async fn read_again(state: &State) {
    let now = state.net.clock().now();
    let options = tls_options(&state.options);
    let names = &state.options.names;
    let domain = names.first().map_or("localhost", String::as_str);
    let certificate = certificate::tls(&state.data, &options, domain, now);
    let taken = certificate.and_then(|tls| Ok(state.net.replace_tls(tls)?));
    match taken {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "the certificate stays"),
    }
    match state.flush().await {
        Ok(()) => tracing::info!("the configuration was read again"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "the configuration stays"),
    }
}

fn announce(state: &State, admin: &Admin) -> Result<()> {
    use std::io::Write as _;
    let mut sip = serde_json::Map::new();
    for status in state.net.listeners() {
        let name = status.spec.transport.param_name();
        let address = crate::listeners::for_switch(&status).advertised.to_string();
        sip.entry(name).or_insert(json!(address));
    }
    tracing::info!(api = %admin.http, "ready");
    if state.options.ready == Ready::Said {
        let line = json!({"sip": sip, "http": admin.http, "token": admin.token, "pid": std::process::id()});
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())?;
    }
    Ok(())
}

/// How long the start waits for the names of targets.
const LOCATE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a question to the machine may wait.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
