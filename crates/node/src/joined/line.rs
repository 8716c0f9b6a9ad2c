//! The line of a joined node to control: configurations come down, reports go up. When it breaks it is
//! opened again; until then the node goes on with what it has.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use link::proto::down::What;
use link::proto::link_client::LinkClient;
use link::proto::{Down, Following, OrderKind, Renewal};
use link::{Caller, Identity, SigningRequest};
use model::Snapshot;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::enrol::said;
use super::role::Role;

/// Keeps the line of a node in a role.
pub(super) struct Keeper<R> {
    pub(super) identity: Identity,
    pub(super) path: PathBuf,
    pub(super) role: R,
    pub(super) line: watch::Sender<Option<LinkClient<Channel>>>,
    pub(super) clock: net::Clock,
    /// The round trip of the last report.
    rtt_us: Option<u32>,
    /// Before then nobody asks for another certificate: control has refused one.
    renew_again: Option<Instant>,
}

/// Why a line was given up on purpose.
enum End {
    /// There is another certificate to show.
    Renewed,
    /// Control has ended it.
    Closed,
}

impl<R: Role> Keeper<R> {
    /// For the node of an identity, which is kept at `path`.
    pub(super) fn new(
        (identity, path): (Identity, PathBuf),
        role: R,
        line: watch::Sender<Option<LinkClient<Channel>>>,
    ) -> Self {
        Self {
            identity,
            path,
            role,
            line,
            clock: net::Clock::start(),
            rtt_us: None,
            renew_again: None,
        }
    }

    /// Opens the line, and opens it again whenever it is over.
    pub(super) async fn run(mut self) {
        let mut told = String::new();
        let mut pause = PAUSE_MIN;
        loop {
            let why = match link::dial(&self.identity.control, Caller::Node(&self.identity)).await {
                Ok(line) => {
                    let began = Instant::now();
                    let end = self.serve(line).await;
                    self.line.send_replace(None);
                    if began.elapsed() > PAUSE_MAX {
                        (told, pause) = (String::new(), PAUSE_MIN);
                    }
                    match end {
                        Ok(End::Renewed) => continue,
                        Ok(End::Closed) => "control has ended the line".to_owned(),
                        Err(status) => said(&status),
                    }
                }
                Err(error) => error.to_string(),
            };
            // Said once: control may be away for a day.
            if why != told {
                let control = &self.identity.control;
                tracing::warn!(control, why, "no line to control; the configuration stays");
                told = why;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn serve(&mut self, mut line: LinkClient<Channel>) -> Result<End, Status> {
        let following = Following {
            revision: self.role.revision(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut told = line.follow(following).await?.into_inner();
        let control = &self.identity.control;
        tracing::info!(control, "the line to control is open");
        self.line.send_replace(Some(line.clone()));
        let mut reports = interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                down = next(&mut told) => match down? {
                    Some(down) => self.take(down, &line).await,
                    None => return Ok(End::Closed),
                },
                _ = reports.tick() => {
                    self.report(&mut line).await?;
                    if self.is_time_to_renew() {
                        match self.renew(&mut line).await {
                            Ok(()) => return Ok(End::Renewed),
                            Err(status) => self.put_off_renewal(&status),
                        }
                    }
                }
            }
        }
    }

    async fn take(&mut self, down: Down, line: &LinkClient<Channel>) {
        match down.what {
            Some(What::Configuration(configuration)) => {
                let revision = configuration.revision;
                match read(configuration.snapshot).await {
                    Ok(snapshot) => self.role.take(snapshot).await,
                    Err(error) => {
                        tracing::error!(error, revision, "a configuration cannot be read");
                    }
                }
            }
            Some(What::Order(order)) if order.kind() == OrderKind::Flush => {
                self.role.take_anew().await;
                tracing::info!(task = order.task, "the configuration was taken anew");
            }
            Some(What::Order(order)) if order.kind() == OrderKind::Restart => {
                tracing::info!(task = order.task, "control has this node begin anew");
                self.role.begin_anew();
            }
            Some(What::Question(question)) => self.role.ask(question, line),
            // Of a later version.
            Some(What::Order(_)) | None => {}
        }
    }

    async fn report(&mut self, line: &mut LinkClient<Channel>) -> Result<(), Status> {
        let Some(mut said) = self.role.look().await else {
            return Ok(());
        };
        said.at_us = self.now_us();
        said.rtt_us = self.rtt_us;
        let began = Instant::now();
        let answered = timeout(REPORT_PATIENCE, line.report(said)).await;
        let answered =
            answered.map_err(|_| Status::deadline_exceeded("control does not answer"))??;
        self.rtt_us = u32::try_from(began.elapsed().as_micros()).ok();
        self.role.heard(answered.into_inner());
        Ok(())
    }

    fn is_time_to_renew(&self) -> bool {
        let is_put_off = self.renew_again.is_some_and(|at| Instant::now() < at);
        !is_put_off && self.now_us() >= self.identity.renew_at_us()
    }

    /// A certificate that was not renewed is no reason to end the line: most of a third of its time
    /// is left.
    fn put_off_renewal(&mut self, status: &Status) {
        let why = said(status);
        tracing::error!(
            why,
            "the certificate of this node was not renewed; again in an hour"
        );
        self.renew_again = Some(Instant::now() + RENEW_PAUSE);
    }

    async fn renew(&mut self, line: &mut LinkClient<Channel>) -> Result<(), Status> {
        let failed = |error: link::LinkError| Status::internal(error.to_string());
        let request = SigningRequest::new().map_err(failed)?;
        let signing_request = request.der.clone();
        let renewed = line.renew(Renewal { signing_request }).await?.into_inner();
        let span = (self.now_us(), renewed.certificate_expires_us);
        let identity = self.identity.renewed(&request, &renewed.certificate, span);
        identity.write(&self.path).map_err(failed)?;
        self.identity = identity;
        tracing::info!("this node has another certificate");
        Ok(())
    }

    fn now_us(&self) -> u64 {
        self.clock.now().as_micros()
    }
}

/// A configuration, read off the runtime's threads: it is some 50 MB of a large platform.
async fn read(text: Vec<u8>) -> Result<Snapshot, String> {
    let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&text));
    let read = read.await.map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())
}

async fn next(told: &mut Streaming<Down>) -> Result<Option<Down>, Status> {
    told.message().await
}

/// Between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long one may take to be answered before the line counts as broken.
const REPORT_PATIENCE: Duration = Duration::from_secs(10);
/// After control has refused another certificate.
const RENEW_PAUSE: Duration = Duration::from_secs(3_600);
/// Before the line is opened again: at first, and at most.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(4);
