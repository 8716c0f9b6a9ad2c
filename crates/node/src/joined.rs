//! A node that has joined a platform: its records come from control by a line of their own, and its
//! CDRs go there. It has no access to the store.
//!
//! In its data directory: `node.json` who it is and where control is, `snapshot.json` the newest
//! configuration, with which it starts and goes on while control is away, and `node.db` what concerns
//! this machine alone, such as the tokens of its own API.

mod cdrs;
mod edge;
mod enrol;
mod happenings;
mod line;
mod past;
mod questions;
mod records;
mod role;
mod switch;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use control::Control;
use link::Identity;
use link::proto::link_client::LinkClient;
use model::{ServerId, ServerRole};
use store::{CdrStore, HistoryStore, Records};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic::transport::Channel;

use self::cdrs::ShippedCdrs;
use self::past::Past;
use self::questions::Questions;
use self::records::HeldRecords;
use crate::data::Data;
use crate::signals::Restart;
use crate::snapshot_file::SnapshotFile;
use crate::telemetry::Telemetry;

pub(crate) use self::edge::{Edge, Work};
pub use self::enrol::{JoinedServer, join};
use self::switch::SwitchRole;

/// The line to control, while there is one.
type Line = watch::Receiver<Option<LinkClient<Channel>>>;

/// What a joined node works with in place of a store.
pub(crate) struct Joined {
    identity: Identity,
    held: Arc<HeldRecords>,
    cdrs: Arc<ShippedCdrs>,
    line: watch::Sender<Option<LinkClient<Channel>>>,
}

impl Joined {
    /// What a data directory says of it; `None` if its node has not joined.
    pub(crate) fn open(data: &Data, runtime: &Handle) -> Result<Option<Self>> {
        let Some(identity) = Identity::read(&data.path(IDENTITY))? else {
            return Ok(None);
        };
        let role = role_of(&identity)?;
        if role != ServerRole::Switch {
            let role = role.name();
            bail!("this machine has joined its platform as a {role}: start it by `tandem {role}`");
        }
        let snapshot = SnapshotFile::read(data).context(
            "snapshot.json: this node has joined a platform and never had its configuration; join again",
        )?;
        let revision = snapshot.revision;
        let (control, name) = (&identity.control, &identity.name);
        tracing::info!(control, name, revision, "this node belongs to a platform");
        let held = Arc::new(HeldRecords::open(&data.path(OWN), snapshot)?);
        let line = watch::Sender::new(None);
        let cdrs = Arc::new(ShippedCdrs::new(line.subscribe(), runtime.clone()));
        Ok(Some(Self {
            identity,
            held,
            cdrs,
            line,
        }))
    }

    /// Where control is, `host:port`.
    pub(crate) fn control(&self) -> &str {
        &self.identity.control
    }

    pub(crate) fn records(&self) -> Arc<dyn Records> {
        self.held.clone()
    }

    /// Where its own history is.
    pub(crate) fn history(&self) -> Arc<dyn HistoryStore> {
        self.held.own()
    }

    /// The server that it is.
    pub(crate) fn server(&self) -> Result<ServerId> {
        let server = self.identity.server.parse();
        server.map_err(|_| anyhow::anyhow!("{IDENTITY} names no server; join again"))
    }

    pub(crate) fn cdrs(&self) -> Arc<dyn CdrStore> {
        self.cdrs.clone()
    }

    /// Keeps the line, for as long as the runtime runs.
    pub(crate) async fn keep_line(
        self,
        (data, restart): (Data, Restart),
        control: Control,
        telemetry: Telemetry,
    ) {
        let (history, server) = (self.history(), self.server());
        let events_wanted = watch::Sender::new(false);
        let (line, wanted) = (self.line.subscribe(), events_wanted.subscribe());
        tokio::spawn(happenings::tell(control.clone(), line, wanted));
        let role = SwitchRole {
            past: server.ok().map(|server| Past::new(history, server)),
            held: self.held,
            questions: Questions::new(control.clone()),
            events_wanted,
            control,
            telemetry,
            restart,
        };
        let identity = (self.identity, data.path(IDENTITY));
        let keeper = line::Keeper::new(identity, role, self.line);
        keeper.run().await;
    }
}

/// What a node does. Errors: something that this program does not know.
fn role_of(identity: &Identity) -> Result<ServerRole> {
    let role = &identity.role;
    ServerRole::from_name(role)
        .with_context(|| format!("{IDENTITY}: this program does not know the role \"{role}\""))
}

/// Whether a directory is that of a node that has joined, and had its configuration since.
pub(crate) fn has_joined(directory: &Path) -> bool {
    directory.join(IDENTITY).exists() && directory.join(CONFIGURATION).exists()
}

/// Who the node is.
const IDENTITY: &str = "node.json";
/// What it works with.
const CONFIGURATION: &str = "snapshot.json";
/// What concerns this machine alone.
const OWN: &str = "node.db";
