//! A node that takes no calls itself: a dispatcher, a media server. What control has for it is the
//! record of its server, kept on disk, and it goes on with that while control is away.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use control::{Answer, LogRing, Question as Asked, Report};
use link::Identity;
use link::proto::link_client::LinkClient;
use link::proto::{Answered, Question, Reported, Telemetry as Said};
use model::{Server, ServerRole, Snapshot, TraceSettings};
use store::{TraceLegs, TraceQuery, TraceReader};
use tokio::sync::{Semaphore, watch};
use tonic::transport::Channel;

use super::questions::{ANSWERS_MAX, written};
use super::role::Role;
use super::switch::said;
use super::{CONFIGURATION, IDENTITY, has_joined, line, role_of};
use crate::data::Data;
use crate::telemetry::Vitals;
use crate::up::node_name;

/// What such a node does.
pub(crate) trait Work: Send + 'static {
    /// Control has changed the record of its server, or wants it to be taken once more: works by it
    /// from now on.
    fn apply(&mut self, server: Arc<Server>) -> impl Future<Output = ()> + Send;

    /// Keeps more or less of SIP messages from now on.
    fn keep_traces(&mut self, _settings: &TraceSettings) {}

    /// The SIP messages that it keeps; `None`: it keeps none.
    fn traces(&self) -> Option<TraceReader> {
        None
    }

    /// How it is, less what is to be said of its process; `None`: it has no time to say so.
    fn look(&mut self) -> impl Future<Output = Option<Report>> + Send;

    /// Control has the node begin anew.
    fn begin_anew(&mut self);
}

/// A directory of such a node that has joined.
pub(crate) struct Edge {
    identity: Identity,
    data: Data,
    held: Snapshot,
}

impl Edge {
    /// What a data directory says of it; `None` if its node has not joined. Errors: it has joined as
    /// something else, or is damaged.
    pub(crate) fn open(data: &Data, wanted: ServerRole) -> Result<Option<Self>> {
        let Some(identity) = Identity::read(&data.path(IDENTITY))? else {
            return Ok(None);
        };
        let role = role_of(&identity)?;
        if role != wanted {
            let (role, wanted) = (role.name(), wanted.name());
            bail!(
                "this directory is that of a {role}: take another one with --data for the {wanted}"
            );
        }
        let held: Snapshot = data.read(CONFIGURATION).context(
            "snapshot.json: this node has joined a platform and never had its configuration; join again",
        )?;
        let (control, name) = (&identity.control, &identity.name);
        tracing::info!(control, name, "this node belongs to a platform");
        Ok(Some(Self {
            identity,
            data: data.clone(),
            held,
        }))
    }

    /// Whether a directory is that of a node which has joined in this role.
    pub(crate) fn is_in(directory: &Path, role: ServerRole) -> bool {
        let identity = Identity::read(&directory.join(IDENTITY));
        let identity = identity.ok().flatten();
        has_joined(directory)
            && identity.is_some_and(|identity| role_of(&identity).is_ok_and(|has| has == role))
    }

    /// The record of its server; `None`: control sent none.
    pub(crate) fn server(&self) -> Option<Arc<Server>> {
        server_of(&self.held)
    }

    /// What is to be kept of SIP messages.
    pub(crate) fn trace_settings(&self) -> &TraceSettings {
        &self.held.settings.trace
    }

    /// Keeps the line, for as long as the runtime runs.
    pub(crate) async fn keep_line(self, work: impl Work) {
        let started_us = net::Clock::start().now().as_micros();
        let identity = (self.identity, self.data.path(IDENTITY));
        let role = EdgeRole {
            data: self.data,
            held: self.held,
            work,
            vitals: Vitals::new(started_us, node_name()),
            turns: Arc::new(Semaphore::new(ANSWERS_MAX)),
        };
        let keeper = line::Keeper::new(identity, role, watch::Sender::new(None));
        keeper.run().await;
    }
}

fn server_of(snapshot: &Snapshot) -> Option<Arc<Server>> {
    let own = snapshot.server?;
    let mut servers = snapshot.servers.iter();
    servers.find(|server| server.id == own).cloned()
}

/// Such a node, as its line sees it.
struct EdgeRole<W> {
    data: Data,
    held: Snapshot,
    work: W,
    vitals: Vitals,
    /// Questions that are answered at a time.
    turns: Arc<Semaphore>,
}

impl<W: Work> Role for EdgeRole<W> {
    fn revision(&self) -> u64 {
        self.held.revision
    }

    async fn take(&mut self, snapshot: Snapshot) {
        let (revision, has) = (snapshot.revision, self.held.revision);
        if revision < has {
            tracing::warn!(revision, has, "an older configuration was refused");
            return;
        }
        let before = server_of(&self.held);
        let now = server_of(&snapshot);
        let is_traced_anew = self.held.settings.trace != snapshot.settings.trace;
        self.held = snapshot;
        if is_traced_anew {
            self.work.keep_traces(&self.held.settings.trace);
        }
        // Most changes of a platform are none of this server.
        let changed = now.filter(|now| before.as_ref() != Some(now));
        if changed.is_none() && !is_traced_anew {
            return;
        }
        let (data, kept) = (self.data.clone(), self.held.clone());
        let written = tokio::task::spawn_blocking(move || data.write(CONFIGURATION, &kept)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the configuration is not on disk"),
            Err(error) => tracing::warn!(%error, "the configuration is not on disk"),
        }
        if let Some(server) = changed {
            self.work.apply(server).await;
        }
    }

    async fn take_anew(&mut self) {
        if let Some(server) = server_of(&self.held) {
            self.work.apply(server).await;
        }
    }

    fn ask(&mut self, question: Question, line: &LinkClient<Channel>) {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            tracing::debug!("control asks more at a time than is answered");
            return;
        };
        let (mut line, traces) = (line.clone(), self.work.traces());
        tokio::spawn(async move {
            let Question { id, question } = question;
            let answer = written(&answer(&question, traces).await);
            // Whoever asked gives up in a few seconds.
            let _ = line.answer(Answered { id, answer }).await;
            drop(turn);
        });
    }

    fn begin_anew(&mut self) {
        self.work.begin_anew();
    }

    async fn look(&mut self) -> Option<Said> {
        let seen = self.work.look().await?;
        let seen = Report {
            revision: self.held.revision,
            ..seen
        };
        Some(said(self.vitals.look(seen)))
    }

    fn heard(&mut self, _reported: Reported) {
        // It measures no distances, and keeps no history.
    }
}

async fn answer(question: &[u8], traces: Option<TraceReader>) -> Answer {
    match (serde_json::from_slice(question), traces) {
        (Ok(Asked::Log(query)), _) => Answer::Log(LogRing::of_process().latest(&query)),
        (Ok(Asked::Traces(query)), Some(traces)) => {
            // The tags that pass here are of several switches, each with keys of its own.
            let query = TraceQuery {
                legs: TraceLegs::Named,
                ..query
            };
            look(move || Ok(Answer::Traces(traces.part(&query)?.into()))).await
        }
        (Ok(Asked::Message { id }), Some(traces)) => {
            let shown = move || {
                let Ok(id) = id.parse() else {
                    return Ok(Answer::Message(None));
                };
                let seen = traces.message(id)?;
                let shown = seen.map(|seen| control::shown_message(id, &seen));
                Ok(Answer::Message(shown))
            };
            look(shown).await
        }
        // All else is of calls, or of a later version.
        _ => Answer::Failed("it is no server that takes calls".into()),
    }
}

/// Reads what is kept, where nobody waits for the disk.
async fn look(look: impl FnOnce() -> io::Result<Answer> + Send + 'static) -> Answer {
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed(format!("traces: {error}")),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use model::{ServerId, ServerRole};

    use super::*;

    /// Notes what it is told.
    #[derive(Default)]
    struct Notes(Vec<bool>);

    impl Work for Notes {
        async fn apply(&mut self, server: Arc<Server>) {
            self.0.push(server.draining);
        }

        async fn look(&mut self) -> Option<Report> {
            Some(Report::default())
        }

        fn begin_anew(&mut self) {}
    }

    fn snapshot(revision: u64, draining: bool) -> Snapshot {
        let id = ServerId::from_bits(1);
        let json = format!(
            r#"{{"id":"{id}","name":"edge","role":"{}","draining":{draining}}}"#,
            ServerRole::Dispatcher.name()
        );
        Snapshot {
            revision,
            server: Some(id),
            servers: vec![Arc::new(serde_json::from_str(&json).unwrap())],
            ..Snapshot::default()
        }
    }

    #[tokio::test]
    async fn a_change_of_its_server_is_worked_by_and_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let data = Data::open(directory.path()).unwrap();
        let mut role = EdgeRole {
            data: data.clone(),
            held: snapshot(5, false),
            work: Notes::default(),
            vitals: Vitals::new(0, "edge".into()),
            turns: Arc::new(Semaphore::new(1)),
        };
        role.take(snapshot(6, false)).await;
        assert_eq!(role.work.0, [true; 0], "another record was changed");
        role.take(snapshot(7, true)).await;
        role.take(snapshot(4, false)).await;
        assert_eq!(role.work.0, [true]);
        role.take_anew().await;
        assert_eq!(
            role.work.0,
            [true, true],
            "what control has pushed once more"
        );
        assert_eq!(role.revision(), 7, "an older one is refused");
        let kept: Snapshot = data.read(CONFIGURATION).unwrap();
        assert_eq!(kept, snapshot(7, true));
    }
}
