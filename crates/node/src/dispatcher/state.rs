//! What the API works on: the running dispatcher, and what of it is kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use balancer::Admission;
use model::{DispatchAlgorithm, Dispatching};
use net::Net;

use super::DispatcherOptions;
use super::machine::Desk;
use super::names::{self, Desired, LOCATE_EVERY, LOCATE_SOON, Which};
use super::settings::{self, KEPT, Settings, TargetRecord};
use super::turns::Turns;
use crate::data::Data;
use crate::trace::TraceLink;

pub(super) struct State {
    pub(super) desk: Desk,
    pub(super) net: Net,
    pub(super) data: Data,
    pub(super) token: String,
    /// What targets there are to be. Held while the set changes, so that changes happen one after
    /// another.
    pub(super) desired: tokio::sync::Mutex<Desired>,
    pub(super) options: DispatcherOptions,
    /// When targets came up or went down last.
    pub(super) turns: Turns,
    /// What control says of the set.
    pub(super) wish: Mutex<Wish>,
    /// Where messages are kept; `None`: it has not joined a platform.
    pub(super) trace: Option<TraceLink>,
}

/// What control says of the set of targets, where the dispatcher has joined a platform.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// The set that it has; `None`: the dispatcher's own file says.
    pub(super) set: Option<Dispatching>,
    /// Why that was not taken.
    pub(super) refused: Option<String>,
    /// How targets are chosen now.
    pub(super) algorithm: DispatchAlgorithm,
}

impl State {
    /// Changes the set of targets, and keeps it over restarts. What is known of those that stay
    /// is kept, and so are their calls.
    pub(super) async fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<TargetRecord>) -> Result<T>,
    ) -> Result<T> {
        let mut desired = self.desired.lock().await;
        // Looked at while nobody else changes the set: control may have taken it over meanwhile.
        ensure!(!self.is_controlled(), "control has the targets now");
        let mut records = desired.records.clone();
        let result = change(&mut records)?;
        let mut wanted = desired.with(records);
        self.locate_into(&mut wanted, Which::Unknown).await;
        self.apply(&mut wanted).await?;
        self.data.write(KEPT, &wanted.records)?;
        *desired = wanted;
        Ok(result)
    }

    /// Asks for the names of targets again; how soon to do so next.
    pub(super) async fn locate(&self) -> Duration {
        let names = self.desired.lock().await.names(Which::All);
        let mut asked = names::ask(&self.net, names);
        // Nobody waits for a name but its own target: not the others, nor who changes the set.
        while let Some(answer) = asked.join_next().await {
            let Ok((name, found)) = answer else {
                continue;
            };
            let mut desired = self.desired.lock().await;
            desired.take(&name, found, &self.options.listen);
            self.apply_or_tell(&mut desired).await;
        }
        let mut desired = self.desired.lock().await;
        self.apply_or_tell(&mut desired).await;
        if desired.is_incomplete() {
            LOCATE_SOON
        } else {
            LOCATE_EVERY
        }
    }

    /// Asks for names that records nobody works by yet have.
    async fn locate_into(&self, wanted: &mut Desired, which: Which) {
        let mut asked = names::ask(&self.net, wanted.names(which));
        while let Some(answer) = asked.join_next().await {
            if let Ok((name, found)) = answer {
                wanted.take(&name, found, &self.options.listen);
            }
        }
    }

    async fn apply_or_tell(&self, desired: &mut Desired) {
        if let Err(error) = self.apply(desired).await {
            tracing::error!(
                error = format!("{error:#}"),
                "the targets stay as they were"
            );
        }
    }

    /// Tells the dispatcher what has changed since it was told last, if anything has.
    async fn apply(&self, desired: &mut Desired) -> Result<()> {
        let targets = desired.targets()?;
        if targets == desired.applied {
            return Ok(());
        }
        let applied = targets.clone();
        let set = move |now, d: &mut dispatcher::Dispatcher| d.set_targets(now, &targets);
        self.desk.ask(set).await??;
        desired.applied = applied;
        Ok(())
    }

    /// Whether control says what targets there are: nobody changes them here then.
    pub(super) fn is_controlled(&self) -> bool {
        self.wish().set.is_some()
    }

    /// What control says of the set.
    pub(super) fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes new calls from now on, or none.
    pub(super) async fn admit(&self, admission: Admission) -> Result<()> {
        let set = move |_, d: &mut dispatcher::Dispatcher| d.set_admission(admission);
        self.desk.ask(set).await
    }

    /// Control has this set, or none: works by it, or by its own, calls staying up. A set that cannot
    /// be taken leaves all as it was, and control is told why.
    pub(super) async fn obey(&self, set: Option<Dispatching>) {
        self.wish().set = set;
        let taken = self.set_anew(Which::Unknown, |settings| {
            settings::records(settings, &self.data)
        });
        let taken = taken.await;
        match &taken {
            Ok(()) => tracing::info!("control's word on the targets was taken"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the targets stay, whatever control says");
            }
        }
        self.wish().refused = taken.err().map(|error| format!("{error:#}"));
    }

    /// Reads the configuration again and works by it, calls staying up. Changes made at run time
    /// are given up for what the file says; a set of control's stays.
    pub(super) async fn flush(&self) -> Result<()> {
        self.set_anew(Which::All, Settings::own_records).await?;
        match std::fs::remove_file(self.data.path(KEPT)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!("cannot remove {KEPT}: {error}")
            }
            _ => Ok(()),
        }
    }

    /// Reads the file and works by it, with the set of control if that has one, else with `own`.
    async fn set_anew(
        &self,
        which: Which,
        own: impl Fn(&Settings) -> Vec<TargetRecord>,
    ) -> Result<()> {
        let mut desired = self.desired.lock().await;
        let mut settings = settings::read(&self.options)?;
        let records = match &self.wish().set {
            Some(set) => {
                settings.choose_by(set.algorithm);
                set.targets.iter().map(TargetRecord::from).collect()
            }
            None => own(&settings),
        };
        let mut wanted = desired.with(records);
        self.locate_into(&mut wanted, which).await;
        let targets = wanted.targets()?;
        wanted.applied.clone_from(&targets);
        // Key and seed stay as they are.
        let config = settings.config(&self.options.names, [0; 32], 0)?;
        let set = move |now, d: &mut dispatcher::Dispatcher| {
            d.set_targets(now, &targets)?;
            d.configure(config);
            Ok::<(), balancer::SetError>(())
        };
        self.desk.ask(set).await??;
        *desired = wanted;
        self.wish().algorithm = settings.algorithm()?;
        Ok(())
    }
}
