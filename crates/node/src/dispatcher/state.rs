//! What the API works on: the running dispatcher, and what of it is kept.

use std::time::Duration;

use anyhow::{Result, bail};
use net::Net;

use super::DispatcherOptions;
use super::machine::Desk;
use super::names::{self, Desired, LOCATE_EVERY, LOCATE_SOON, Which};
use super::settings::{self, KEPT, TargetRecord};
use crate::data::Data;

pub(super) struct State {
    pub(super) desk: Desk,
    pub(super) net: Net,
    pub(super) data: Data,
    pub(super) token: String,
    /// What targets there are to be. Held while the set changes, so that changes happen one after
    /// another.
    pub(super) desired: tokio::sync::Mutex<Desired>,
    pub(super) options: DispatcherOptions,
}

impl State {
    /// Changes the set of targets, and keeps it over restarts. What is known of those that stay
    /// is kept, and so are their calls.
    pub(super) async fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<TargetRecord>) -> Result<T>,
    ) -> Result<T> {
        let mut desired = self.desired.lock().await;
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

    /// Reads the configuration again and works by it, calls staying up. Changes made at run time
    /// are given up for what the file says.
    pub(super) async fn flush(&self) -> Result<()> {
        let mut desired = self.desired.lock().await;
        let settings = settings::read(&self.options)?;
        let mut wanted = desired.with(settings.own_records());
        self.locate_into(&mut wanted, Which::All).await;
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
        match std::fs::remove_file(self.data.path(KEPT)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!("cannot remove {KEPT}: {error}")
            }
            _ => Ok(()),
        }
    }
}
