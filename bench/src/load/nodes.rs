//! Nodes as control sees them: each joins with a token, follows the configuration and reports once a
//! second over its own line, as a node does that is full of calls.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use link::proto::down::What;
use link::proto::link_client::LinkClient;
use link::proto::{Answered, Enrolment, Following, Listener, Telemetry};
use link::{Caller, Identity, SigningRequest, Token};
use tokio::runtime::Runtime;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::transport::Channel;

/// Nodes that report until this goes.
pub(crate) struct Nodes {
    runtime: Runtime,
}

impl Nodes {
    pub(crate) fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("a runtime for the nodes")?;
        Ok(Self { runtime })
    }

    /// One more joins the control at `host:port`; from then on it reports.
    pub(crate) fn join(&self, control: &str, token: &str) -> Result<()> {
        let token: Token = token.parse()?;
        let identity = self.runtime.block_on(enrol(control, &token))?;
        let mut line = self
            .runtime
            .block_on(link::dial(control, Caller::Node(&identity)))?;
        self.runtime.spawn(async move {
            if let Err(status) = live(&mut line).await {
                eprintln!("a node's line has ended: {status}");
            }
        });
        Ok(())
    }
}

async fn enrol(control: &str, token: &Token) -> Result<Identity> {
    let mut line = link::dial(control, Caller::Joining(token.authority)).await?;
    let request = SigningRequest::new()?;
    let asked = Enrolment {
        token: token.id.clone(),
        secret: token.secret.clone(),
        signing_request: request.der.clone(),
        host: "node".to_owned(),
    };
    let enrolled = line.enrol(asked).await?.into_inner();
    Ok(Identity::new(
        control,
        (&enrolled.server, &enrolled.name),
        &request,
        (&enrolled.certificate, &enrolled.authority),
        (now_us(), enrolled.certificate_expires_us),
    ))
}

async fn live(line: &mut LinkClient<Channel>) -> Result<(), tonic::Status> {
    let following = Following {
        revision: 0,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut down = line.follow(following).await?.into_inner();
    let mut reports = interval_at(Instant::now() + INTERVAL, INTERVAL);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rtt_us = None;
    loop {
        tokio::select! {
            told = down.message() => {
                let Some(down) = told? else {
                    return Ok(());
                };
                if let Some(What::Question(asked)) = down.what {
                    line.answer(Answered { id: asked.id, answer: NO_CALLS.to_vec() }).await?;
                }
            }
            _ = reports.tick() => {
                let began = Instant::now();
                line.report(report(rtt_us)).await?;
                rtt_us = u32::try_from(began.elapsed().as_micros()).ok();
            }
        }
    }
}

fn report(rtt_us: Option<u32>) -> Telemetry {
    let listener = |transport: &str, port: u16| Listener {
        transport: transport.to_owned(),
        address: format!("192.0.2.1:{port}"),
        advertised: format!("192.0.2.1:{port}"),
    };
    Telemetry {
        at_us: now_us(),
        started_us: now_us() - 86_400_000_000,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: "node".to_owned(),
        channels: 412,
        channels_peak: 800,
        channels_limit: Some(1_000),
        cps: 12,
        cps_peak: 40,
        cps_limit: Some(50),
        registrations: 20_000,
        cpu_percent: Some(21.5),
        memory_bytes: Some(400 << 20),
        machine_memory_bytes: Some(16 << 30),
        cores: Some(8),
        listeners: vec![
            listener("udp", 5_060),
            listener("tcp", 5_060),
            listener("tls", 5_061),
        ],
        rtt_us,
        tls_expires_us: Some(now_us() + 86_400_000_000 * 60),
        ..Telemetry::default()
    }
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// What a node without calls says when it is asked for a list of them.
const NO_CALLS: &[u8] = br#"{"calls":{"items":[],"total":0}}"#;
const INTERVAL: Duration = Duration::from_secs(1);
