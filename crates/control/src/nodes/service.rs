//! What control answers a node. Who shows no certificate can enrol and nothing else; who shows one is
//! looked up each time, so that a revoked one is refused at once.

use std::sync::Arc;

use link::proto::link_server::Link;
use link::proto::{
    AnswerReceipt, Answered, CdrBatch, CdrReceipt, Down, Enrolled, Enrolment, EventBatch,
    EventReceipt, Following, Renewal, Renewed, Reported, Telemetry,
};
use link::{Peer, Shown};
use model::{Cdr, Sample, Server, ServerId, ServerRole, Snapshot};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::fleet::{ProgramUpdate, Report, SocketReport};
use super::{enrol, follow};
use crate::Control;
use crate::control::now;

/// Control, as nodes see it.
pub(super) struct Service(pub(super) Control);

#[tonic::async_trait]
impl Link for Service {
    type FollowStream = ReceiverStream<Result<Down, Status>>;

    async fn enrol(&self, request: Request<Enrolment>) -> Result<Response<Enrolled>, Status> {
        let from = peer(&request)?.address;
        let enrolled = enrol::enrol(&self.0, request.into_inner(), from).await?;
        Ok(Response::new(enrolled))
    }

    async fn renew(&self, request: Request<Renewal>) -> Result<Response<Renewed>, Status> {
        let (server, shown) = self.who(&request).await?;
        let asked = request.into_inner().signing_request;
        let renewed = enrol::renew(&self.0, (server, shown), asked).await?;
        Ok(Response::new(renewed))
    }

    async fn follow(
        &self,
        request: Request<Following>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let who = self.who(&request).await?;
        let from = peer(&request)?.address;
        let has = request.into_inner().revision;
        let (told, stream) = mpsc::channel(TOLD_MAX);
        tokio::spawn(follow::feed(self.0.clone(), who, from, has, told));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn report(&self, request: Request<Telemetry>) -> Result<Response<Reported>, Status> {
        let (server, role) = self.who_does_what(&request).await?;
        let neighbours = match role {
            ServerRole::Switch => self.0.neighbours(server).await,
            ServerRole::Dispatcher | ServerRole::Media => Vec::new(),
        };
        let mut said = request.into_inner();
        let samples = std::mem::take(&mut said.samples);
        let samples = if role == ServerRole::Switch {
            samples
        } else {
            Vec::new()
        };
        let at_us = now().as_micros();
        self.0.hear(server, report(said).of_role(role), at_us).await;
        let newest_sample_us = self.keep(server, samples, at_us).await?;
        let neighbour = |one: super::Neighbour| link::proto::Neighbour {
            server: one.server.to_string(),
            address: one.address.to_string(),
        };
        let events_wanted = self.0.ring().is_wanted(now());
        Ok(Response::new(Reported {
            newest_sample_us,
            neighbours: neighbours.into_iter().map(neighbour).collect(),
            events_wanted,
        }))
    }

    async fn ship_cdrs(&self, request: Request<CdrBatch>) -> Result<Response<CdrReceipt>, Status> {
        self.who_takes_calls(&request).await?;
        let batch = request.into_inner().cdrs;
        let cdrs: Result<Vec<Cdr>, _> = batch.iter().map(|c| serde_json::from_slice(c)).collect();
        let cdrs = cdrs.map_err(|error| Status::invalid_argument(format!("a CDR: {error}")))?;
        let stored = self.0.cdrs(move |store| store.insert_batch(&cdrs)).await;
        let added = stored.map_err(|_| Status::unavailable("the CDRs cannot be stored now"))?;
        Ok(Response::new(CdrReceipt {
            added: u32::try_from(added).unwrap_or(u32::MAX),
        }))
    }

    async fn answer(&self, request: Request<Answered>) -> Result<Response<AnswerReceipt>, Status> {
        let (server, _) = self.who(&request).await?;
        let Answered { id, answer } = request.into_inner();
        self.0.asking().hear(server, id, answer);
        Ok(Response::new(AnswerReceipt {}))
    }

    async fn ship_events(
        &self,
        request: Request<EventBatch>,
    ) -> Result<Response<EventReceipt>, Status> {
        let server = self.who_takes_calls(&request).await?;
        let newest = self.0.newest_snapshot().await?;
        let snapshot = newest.borrow().clone();
        let known = snapshot.servers.iter().find(|known| known.id == server);
        let name = known.map_or("", |known| &known.name);
        let (ring, batch) = (self.0.ring(), request.get_ref());
        self.0.events_taken().take(ring, (server, name), batch)?;
        Ok(Response::new(EventReceipt {}))
    }
}

impl Service {
    /// Keeps minutes of a node's history; the newest one that is kept then, if it can be told.
    async fn keep(
        &self,
        server: ServerId,
        samples: Vec<Vec<u8>>,
        at_us: u64,
    ) -> Result<Option<u64>, Status> {
        let Some(history) = self.0.history() else {
            return Ok(None);
        };
        let samples = samples.iter().take(SAMPLES_MAX);
        let samples: Result<_, _> = samples.map(|s| serde_json::from_slice(s)).collect();
        let samples: Vec<Sample> =
            samples.map_err(|error| Status::invalid_argument(format!("a sample: {error}")))?;
        let kept = self
            .0
            .blocking(move || history.keep(server, samples, at_us));
        // What cannot be kept now the node tells again.
        Ok(kept.await.unwrap_or(None))
    }

    /// Which node asks, and what it does by its record: its own word on that counts for nothing.
    async fn who_does_what<T>(
        &self,
        request: &Request<T>,
    ) -> Result<(ServerId, ServerRole), Status> {
        let (server, _) = self.who(request).await?;
        let newest = self.0.newest_snapshot().await?;
        let snapshot = newest.borrow().clone();
        let known = snapshot.servers.iter().find(|known| known.id == server);
        let role = known.map(|known| known.role);
        let role = role.ok_or_else(|| Status::permission_denied("the server was deleted"))?;
        Ok((server, role))
    }

    /// Which switch asks. Errors: it is none. A machine at the edge has no calls of its own: one that
    /// strangers have taken over must not write bills, nor tell what never happened.
    async fn who_takes_calls<T>(&self, request: &Request<T>) -> Result<ServerId, Status> {
        match self.who_does_what(request).await? {
            (server, ServerRole::Switch) => Ok(server),
            (server, role) => {
                let role = role.name();
                tracing::warn!(%server, role, "a node that takes no calls tells of some");
                let why = format!("this node is a {role}: only one that takes calls tells of them");
                Err(Status::permission_denied(why))
            }
        }
    }

    /// Which node asks. Errors: its certificate is none of ours any more.
    async fn who<T>(&self, request: &Request<T>) -> Result<(ServerId, Arc<Shown>), Status> {
        let peer = peer(request)?;
        let shown = peer.shown.clone().ok_or_else(|| {
            Status::unauthenticated("no certificate was shown: join with a token first")
        })?;
        let server: ServerId = shown
            .server
            .parse()
            .map_err(|_| Status::unauthenticated("the certificate is of no server"))?;
        let newest = self.0.newest_snapshot().await?;
        let snapshot = newest.borrow().clone();
        admit(&self.0, &snapshot, server, &shown)?;
        Ok((server, shown))
    }
}

/// Whether a node belongs to the platform. Errors: the reason why not, which is noted.
pub(super) fn admit(
    control: &Control,
    snapshot: &Snapshot,
    server: ServerId,
    shown: &Shown,
) -> Result<(), Status> {
    let now_us = now().as_micros();
    let known = snapshot.servers.iter().find(|known| known.id == server);
    let why = match known {
        None => Some("the server was deleted".to_owned()),
        Some(known) if known.revoked_us.is_some() => Some("the certificate was revoked".into()),
        Some(known) if !is_of_latest(known, shown) => {
            Some("another machine has joined as this server since".into())
        }
        Some(_) if shown.expires_us <= now_us => Some("the certificate has expired".into()),
        Some(_) => None,
    };
    let Some(why) = why else {
        return Ok(());
    };
    // What is refused to a machine that another has replaced says nothing of that other.
    if known.is_some_and(|known| known.revoked_us.is_some() || is_of_latest(known, shown)) {
        control.fleet().refuse(server, &why, now_us);
    }
    tracing::warn!(%server, serial = shown.serial, why, "a node was refused");
    Err(Status::permission_denied(format!("{why}: join again")))
}

/// Whether a certificate goes back to the last enrolment.
fn is_of_latest(server: &Server, shown: &Shown) -> bool {
    let given = server.certificate.as_ref();
    given.is_some_and(|given| given.enrolment.to_string() == shown.enrolment)
}

fn peer<T>(request: &Request<T>) -> Result<&Peer, Status> {
    let peer = request.extensions().get::<Peer>();
    peer.ok_or_else(|| Status::internal("a line without an end"))
}

fn report(said: Telemetry) -> Report {
    let socket = |listener: link::proto::Listener| SocketReport {
        transport: listener.transport,
        address: listener.address,
        advertised: listener.advertised,
    };
    Report {
        started_us: said.started_us,
        version: said.version,
        host: said.host,
        revision: said.revision,
        draining: said.draining,
        channels: said.channels,
        channels_peak: said.channels_peak,
        channels_limit: said.channels_limit,
        cps: said.cps,
        cps_peak: said.cps_peak,
        cps_limit: said.cps_limit,
        registrations: said.registrations,
        cpu_percent: said.cpu_percent,
        memory_bytes: said.memory_bytes,
        machine_memory_bytes: said.machine_memory_bytes,
        cores: said.cores,
        listeners: said.listeners.into_iter().map(socket).collect(),
        rtt_us: said.rtt_us,
        tls_expires_us: said.tls_expires_us,
        cluster_channels_share: said.cluster_channels_share,
        cluster_cps_share: said.cluster_cps_share,
        distances: said
            .distances
            .iter()
            .take(DISTANCES_MAX)
            .filter_map(|distance| serde_json::from_slice(distance).ok())
            .collect(),
        dispatcher: said.dispatcher.as_deref().and_then(of_role),
        media: said.media.as_deref().and_then(of_role),
        update: said.update.as_deref().and_then(update),
        icmp_refused: said.icmp_refused.map(|mut why| {
            why.truncate(why.floor_char_boundary(WHY_MAX_BYTES));
            why
        }),
    }
}

/// What a node says of its role; nothing, where that is too long or of a later version.
fn of_role<T: serde::de::DeserializeOwned>(json: &[u8]) -> Option<T> {
    (json.len() <= ROLE_MAX_BYTES)
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}

/// The program that waits at a node for its restart; nothing, where that is no such thing.
fn update(json: &[u8]) -> Option<ProgramUpdate> {
    if json.len() > UPDATE_MAX_BYTES {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// What a node says of a program: three short texts.
const UPDATE_MAX_BYTES: usize = 1 << 10;
/// What a node says of its role: 256 targets with long names are a quarter of it.
const ROLE_MAX_BYTES: usize = 1 << 20;
/// Distances in one report; a node is told of fewer.
const DISTANCES_MAX: usize = 64;
/// Of why a node cannot send ICMP.
const WHY_MAX_BYTES: usize = 256;
/// Minutes of history in one report; what is beyond comes again.
const SAMPLES_MAX: usize = 120;
/// What waits for a node that takes it slowly: a configuration can be large.
const TOLD_MAX: usize = 1;
