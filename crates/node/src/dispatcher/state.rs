//! What the API works on: the running dispatcher, and what of it is kept.

use anyhow::{Result, bail};
use net::Net;

use super::DispatcherOptions;
use super::machine::Desk;
use super::settings::{self, KEPT, TargetRecord};
use crate::data::Data;

pub(super) struct State {
    pub(super) desk: Desk,
    pub(super) net: Net,
    pub(super) data: Data,
    pub(super) token: String,
    /// Held while the set of targets changes, so that changes happen one after another.
    pub(super) changing: tokio::sync::Mutex<()>,
    pub(super) options: DispatcherOptions,
}

impl State {
    /// The targets as they are set.
    pub(super) async fn records(&self) -> Result<Vec<TargetRecord>> {
        let all = |_, dispatcher: &mut dispatcher::Dispatcher| {
            dispatcher.targets().map(settings::record).collect()
        };
        self.desk.ask(all).await
    }

    /// Changes the set of targets, and keeps it over restarts. What is known of those that stay
    /// is kept, and so are their calls.
    pub(super) async fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<TargetRecord>) -> Result<T>,
    ) -> Result<T> {
        let _turn = self.changing.lock().await;
        let mut records = self.records().await?;
        let result = change(&mut records)?;
        let targets: Vec<_> = records
            .iter()
            .map(settings::target)
            .collect::<Result<_>>()?;
        let set = move |now, d: &mut dispatcher::Dispatcher| d.set_targets(now, &targets);
        self.desk.ask(set).await??;
        self.data.write(KEPT, &records)?;
        Ok(result)
    }

    /// Reads the configuration again and works by it, calls staying up. Changes made at run time
    /// are given up for what the file says.
    pub(super) async fn flush(&self) -> Result<()> {
        let _turn = self.changing.lock().await;
        let settings = settings::read(&self.options)?;
        let targets = settings.own_targets()?;
        // Key and seed stay as they are.
        let config = settings.config(&self.options.names, [0; 32], 0)?;
        let set = move |now, d: &mut dispatcher::Dispatcher| {
            d.set_targets(now, &targets)?;
            d.configure(config);
            Ok::<(), balancer::SetError>(())
        };
        self.desk.ask(set).await??;
        match std::fs::remove_file(self.data.path(KEPT)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                bail!("cannot remove {KEPT}: {error}")
            }
            _ => Ok(()),
        }
    }
}
