//! A machine joins a platform: a key is made here, control gives it a certificate for the token, and
//! the first configuration comes over the line that this opens.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use link::proto::down::What;
use link::proto::link_client::LinkClient;
use link::proto::{Enrolment, Following};
use link::{Caller, Identity, SigningRequest, Token};
use model::Snapshot;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Channel;

use super::{CONFIGURATION, IDENTITY, has_joined};
use crate::data::{Data, write_secret};
use crate::up::node_name;

/// What a machine has become.
#[derive(Clone, Debug)]
pub struct JoinedServer {
    /// The identifier of its server.
    pub server: String,
    /// What people call it.
    pub name: String,
    /// What it does: `switch`, `dispatcher`, `media`.
    pub role: String,
    /// Its certificate expires; microseconds since the Unix epoch.
    pub expires_us: u64,
    /// The revision of its configuration.
    pub revision: u64,
}

/// Joins the platform whose control is at `host:port`, with a token, for a platform in this data
/// directory, which must be a fresh one.
///
/// # Errors
/// The directory has a platform, or a node; the token is none, or is refused; control is not reached,
/// or is not the one that the token is of.
pub fn join(directory: &Path, control: &str, token: &str) -> Result<JoinedServer> {
    let token: Token = token.parse()?;
    if has_joined(directory) {
        bail!(
            "{} is that of a node which has joined a platform already: take another directory with \
             --data, or delete this one",
            directory.display()
        );
    }
    if directory.join("tandem.db").exists() {
        bail!(
            "{} has the records of a platform of its own: take another directory with --data",
            directory.display()
        );
    }
    let data = Data::open(directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(join_with(&data, control, &token))
}

async fn join_with(data: &Data, control: &str, token: &Token) -> Result<JoinedServer> {
    let mut line = link::dial(control, Caller::Joining(token.authority)).await?;
    let request = SigningRequest::new()?;
    let now_us = net::Clock::start().now().as_micros();
    let asked = Enrolment {
        token: token.id.clone(),
        secret: token.secret.clone(),
        signing_request: request.der.clone(),
        host: node_name(),
    };
    let enrolled = timeout(PATIENCE, line.enrol(asked))
        .await
        .context("control does not answer")?
        .map_err(refused)?
        .into_inner();
    let identity = Identity::new(
        control,
        (&enrolled.server, &enrolled.name),
        &request,
        (&enrolled.certificate, &enrolled.authority),
        (now_us, enrolled.certificate_expires_us),
    )
    .in_role(&enrolled.role);
    if identity.authority()? != token.authority {
        bail!("control has another authority than the token says");
    }
    // Written before anything else can fail: the token is spent.
    identity.write(&data.path(IDENTITY))?;
    if !enrolled.cluster_key.is_empty() {
        write_secret(&data.path("cluster.key"), &enrolled.cluster_key)?;
    }
    let mut line = link::dial(control, Caller::Node(&identity)).await?;
    let snapshot = timeout(PATIENCE, first(&mut line))
        .await
        .context("no configuration came")??;
    data.write(CONFIGURATION, &snapshot)?;
    Ok(JoinedServer {
        server: enrolled.server,
        name: enrolled.name,
        role: super::role_of(&identity)?.name().to_owned(),
        expires_us: enrolled.certificate_expires_us,
        revision: snapshot.revision,
    })
}

async fn first(line: &mut LinkClient<Channel>) -> Result<Snapshot> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let following = Following {
        revision: 0,
        version,
    };
    let mut told = line.follow(following).await.map_err(refused)?.into_inner();
    while let Some(down) = told.message().await.map_err(refused)? {
        if let Some(What::Configuration(configuration)) = down.what {
            return serde_json::from_slice(&configuration.snapshot)
                .context("the configuration cannot be read: is control of a later version?");
        }
    }
    bail!("control ended the line before a configuration came")
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(status: Status) -> anyhow::Error {
    anyhow::anyhow!("control refuses: {}", said(&status))
}

/// What a status says, with what lies beneath: the alert of a refused certificate is deep in there.
pub(super) fn said(status: &Status) -> String {
    match status.message() {
        "" => link::reason(status),
        message => match std::error::Error::source(status) {
            Some(source) => format!("{message}: {}", link::reason(source)),
            None => message.to_owned(),
        },
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
