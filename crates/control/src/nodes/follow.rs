//! What a node is told while it has a line: each newer configuration, and orders.

use std::net::SocketAddr;
use std::sync::Arc;

use link::Shown;
use link::proto::{Configuration, Down, Order, OrderKind, Question, down::What};
use model::{ServerId, Snapshot};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tonic::Status;

use crate::Control;
use crate::control::now;

/// Tells a node until its line, its certificate or control ends.
pub(super) async fn feed(
    control: Control,
    (server, shown): (ServerId, Arc<Shown>),
    from: SocketAddr,
    has: u64,
    told: mpsc::Sender<Result<Down, Status>>,
) {
    let began_us = now().as_micros();
    let orders = control.fleet().join(server, from, began_us);
    let questions = control.asking().open(server, began_us);
    announce(&control, server, "server.connected");
    tracing::info!(%server, %from, revision = has, "a node is connected");
    let why = tell(&control, (server, &shown), has, (orders, questions), &told).await;
    control.asking().close(server, began_us);
    control.fleet().leave(server, began_us);
    if let Err(status) = why {
        let why = status.message().to_owned();
        tracing::warn!(%server, why, "a node's line is over");
        let _ = told.send(Err(status)).await;
    }
    announce(&control, server, "server.disconnected");
}

async fn tell(
    control: &Control,
    (server, shown): (ServerId, &Shown),
    has: u64,
    (mut orders, mut questions): (mpsc::Receiver<Order>, mpsc::Receiver<Question>),
    told: &mpsc::Sender<Result<Down, Status>>,
) -> Result<(), Status> {
    let mut newest = control.newest_snapshot().await?;
    let mut stopping = control.stopping();
    let mut sent = None;
    loop {
        let snapshot = newest.borrow_and_update().clone();
        super::service::admit(control, &snapshot, server, shown)?;
        // A node that was told by a control with a later store must not go back.
        if sent != Some(snapshot.revision) && snapshot.revision != has {
            sent = Some(snapshot.revision);
            if !send(told, configuration(&snapshot, server).await?).await {
                return Ok(());
            }
        }
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return Ok(()) },
            order = orders.recv() => {
                // Another line of the same node has begun.
                let Some(order) = order else { return Ok(()) };
                let snapshot = newest.borrow().clone();
                if order.kind() == OrderKind::Flush
                    && !send(told, configuration(&snapshot, server).await?).await {
                    return Ok(());
                }
                if !send(told, What::Order(order)).await {
                    return Ok(());
                }
            }
            question = questions.recv() => {
                let Some(question) = question else { return Ok(()) };
                if !send(told, What::Question(question)).await {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(LOOK) => {}
            () = stopped(&mut stopping) => return Ok(()),
            () = told.closed() => return Ok(()),
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped, too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn send(told: &mpsc::Sender<Result<Down, Status>>, what: What) -> bool {
    told.send(Ok(Down { what: Some(what) })).await.is_ok()
}

/// What a node does, written off the runtime's threads: it is some 50 MB of a large platform.
async fn configuration(snapshot: &Arc<Snapshot>, server: ServerId) -> Result<What, Status> {
    let snapshot = Arc::clone(snapshot);
    let written = tokio::task::spawn_blocking(move || {
        let plan = snapshot.planned_for(server);
        let json = serde_json::to_vec(&plan)?;
        Ok::<_, serde_json::Error>(Configuration {
            revision: plan.revision,
            snapshot: json,
        })
    });
    let failed = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
    let written = written.await.map_err(|error| failed(&error))?;
    Ok(What::Configuration(
        written.map_err(|error| failed(&error))?,
    ))
}

fn announce(control: &Control, server: ServerId, name: &str) {
    let data = json!({ "id": server.to_string() });
    control.ring().announce("servers", name, data);
}

/// Between two looks at whether a certificate has expired meanwhile.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);
