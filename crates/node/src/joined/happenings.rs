//! What happens at this node, told to control while somebody watches there. A portion that was not
//! acknowledged is sent again, and control passes over what it has: so a line that breaks loses nothing
//! and repeats nothing, unless more happens meanwhile than the node keeps.

use std::convert::Infallible;
use std::time::Duration;

use control::{Control, EventFeed, EventPortion};
use link::proto::link_client::LinkClient;
use link::proto::{EventBatch, Happened};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::Line;

/// Tells control, whenever it wants to know, for as long as the line is kept.
pub(super) async fn tell(control: Control, line: Line, mut wanted: watch::Receiver<bool>) {
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        let carried = carry(control.event_feed(), line.clone());
        tokio::select! {
            Err(_) = carried => return,
            unwanted = wanted.wait_for(|wanted| !*wanted) => if unwanted.is_err() { return },
        }
    }
}

/// Carries one portion after the other. Errors: nobody keeps the line any more.
async fn carry(mut feed: EventFeed, mut line: Line) -> Result<Infallible, watch::error::RecvError> {
    loop {
        let portion = feed.next().await;
        let batch = batch(&portion);
        loop {
            let open = line.wait_for(Option::is_some).await?.clone();
            let Some(open) = open else { continue };
            match send(open, batch.clone()).await {
                Ok(()) => break,
                // It will not be understood later, either.
                Err(status) if status.code() == Code::InvalidArgument => {
                    let why = status.message();
                    tracing::error!(why, "control does not understand an event of this node");
                    break;
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
        feed.told(&portion);
    }
}

async fn send(mut line: LinkClient<Channel>, batch: EventBatch) -> Result<(), Status> {
    let sent = timeout(PATIENCE, line.ship_events(batch)).await;
    sent.map_err(|_| Status::deadline_exceeded("control does not answer"))??;
    Ok(())
}

fn batch(portion: &EventPortion) -> EventBatch {
    let happened = portion.events.iter().filter_map(|(number, event)| {
        Some(Happened {
            number: *number,
            event: serde_json::to_vec(event).ok()?,
        })
    });
    EventBatch {
        epoch: portion.epoch,
        events: happened.collect(),
        gap: portion.gap,
    }
}

/// How long control may take to acknowledge a portion before it is sent again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before it is sent again.
const PAUSE: Duration = Duration::from_millis(500);
