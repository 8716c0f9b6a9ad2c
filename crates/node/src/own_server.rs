//! Control among the servers of its own platform: where machines can join, this node is one of the
//! list.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clock::Time;
use control::{Control, NodeSocket};
use link::Authority;
use model::{LimitSpec, Server, ServerId, ServerRole};
use serde::{Deserialize, Serialize};
use store::{Actor, Records, StoreError};

use crate::UpOptions;
use crate::data::Data;
use crate::joined::Joined;
use crate::signals::Restart;
use crate::telemetry::Telemetry;
use crate::up::node_name;

/// Where machines join, if they can; `has_joined` says that this one did. The platform's authority is
/// made at the first start.
pub(crate) fn node_socket(
    options: &UpOptions,
    data: &Data,
    has_joined: bool,
    now: Time,
) -> Result<Option<NodeSocket>> {
    let Some(port) = options.node_port else {
        return Ok(None);
    };
    if has_joined {
        bail!("--node-port: this node has joined a platform; machines join at its control");
    }
    let address = SocketAddr::new(options.bind, port);
    let bind = || {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(socket)
    };
    let listener = bind().with_context(|| format!("cannot listen on {address} for nodes"))?;
    let authority = Authority::open(&data.path("authority"), now.as_micros())?;
    Ok(Some(NodeSocket {
        listener,
        authority: Arc::new(authority),
        cluster_key: data.cluster_key()?,
        refused: Arc::default(),
    }))
}

/// Opens the line to control if this node has joined a platform, or takes those of its nodes, if they
/// are to be taken: within the runtime, for as long as it runs.
pub(crate) fn open_lines(
    (joined, nodes): (Option<(Joined, Restart)>, Option<NodeSocket>),
    control: &Control,
    (data, records): (&Data, &Arc<dyn Records>),
    telemetry: Telemetry,
) -> Result<()> {
    if let Some((joined, restart)) = joined {
        control.belongs_to(joined.control());
        tokio::spawn(joined.keep_line((data.clone(), restart), control.clone(), telemetry));
    } else if let Some(socket) = nodes {
        let now = Time::from_micros(telemetry.now_us());
        control.is_server(of(data, records, now)?);
        let served = control::serve_nodes(control.clone(), socket);
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "nodes are not served");
            }
        });
        tokio::spawn(report(control.clone(), telemetry));
        // What is said of this server holds from the start.
        if let Ok(revision) = records.revision() {
            let control = control.clone();
            tokio::spawn(async move { control.apply_anew(revision).await });
        }
    }
    Ok(())
}

/// The identifier of this node as a server; made at the first start, be there a list of servers or
/// not.
pub(crate) fn identity(data: &Data, now: Time) -> Result<ServerId> {
    if let Some(Note { server }) = data.read(FILE) {
        return Ok(server);
    }
    let server = ServerId::from_parts(now.as_millis(), crate::first_start::random()?);
    data.write(FILE, &Note { server })?;
    Ok(server)
}

/// Which server this node is; it is put into the list if it is not there.
fn of(data: &Data, records: &Arc<dyn Records>, now: Time) -> Result<ServerId> {
    let noted: Option<Note> = data.read(FILE);
    if let Some(Note { server }) = noted {
        match records.read::<Server>(server) {
            Err(StoreError::NotFound { .. }) => {}
            // It was there before the store went away.
            Err(StoreError::Unavailable(_)) => return Ok(server),
            found => return Ok(found?.record.id),
        }
    }
    let id = identity(data, now)?;
    let server = Server {
        id,
        name: node_name(),
        role: ServerRole::Switch,
        zone: String::new(),
        cluster: String::new(),
        draining: false,
        limits: LimitSpec::default(),
        dispatching: None,
        stopped: None,
        certificate: None,
        revoked_us: None,
    };
    let actor = Actor {
        name: "start".into(),
        at: now,
    };
    let named_otherwise = Server {
        name: format!("{} {id}", server.name),
        ..server.clone()
    };
    match records.create(&actor, server) {
        Err(StoreError::Duplicate { .. }) => records.create(&actor, named_otherwise)?,
        made => made?,
    };
    data.write(FILE, &Note { server: id })?;
    Ok(id)
}

/// Tells control how this node is, for as long as the runtime runs.
async fn report(control: Control, mut telemetry: Telemetry) {
    let mut looks = tokio::time::interval(REPORT_INTERVAL);
    loop {
        looks.tick().await;
        if let Ok(report) = telemetry.look().await {
            telemetry.turn_to(control.report_own(report).await);
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    server: ServerId,
}

const FILE: &str = "server.json";
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
