//! Changes that another node has made in a store that both share.

use std::time::Duration;

use crate::Control;

/// Looks every `interval` for a newer revision in the store and hands it to the node, until the API
/// stops. A store that is away is looked for again; the node goes on with what it has.
pub async fn follow(control: Control, interval: Duration) {
    let mut stopping = control.stopping();
    let mut away = false;
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(interval) => {}
        }
        match control.records(|records| records.revision()).await {
            Ok(revision) => {
                if away {
                    tracing::info!(revision, "the store is back");
                }
                away = false;
                control.apply(revision).await;
            }
            Err(problem) => {
                if !away {
                    tracing::warn!(?problem, "the store is away; the configuration stays");
                }
                away = true;
            }
        }
    }
}
