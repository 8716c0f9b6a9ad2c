//! The way to a running media server from other threads, without a wait that blocks.

use ng::Status;
use tokio::sync::oneshot;

use super::{Order, Orders};

/// Asks a media server how it is, and has it take no sessions. Clones lead to the same one.
#[derive(Clone, Debug)]
pub struct Handle(Orders);

/// How a media server is, with what it has counted since it began.
#[derive(Clone, Debug)]
pub struct Look {
    /// What it says of itself to switches.
    pub status: Status,
    /// Ports in use, those that rest after use among them.
    pub ports_used: usize,
    /// Ports free.
    pub ports_free: usize,
    /// Packets relayed.
    pub relayed_packets: u64,
    /// Those of them that the kernel relayed by itself.
    pub kernel_packets: u64,
    /// Packets dropped, for whatever reason.
    pub dropped_packets: u64,
    /// Where plain RTP is relayed in the kernel, or why it is not.
    pub kernel_path: Result<String, String>,
}

impl Handle {
    pub(super) const fn new(orders: Orders) -> Self {
        Self(orders)
    }

    /// How it is; `None` if it has no time to say so, or has ended.
    pub async fn look(&self) -> Option<Look> {
        let (to, from) = oneshot::channel();
        self.0.send(Order::Look(to));
        from.await.ok()
    }

    /// Has it take no new sessions from now on.
    pub fn drain(&self) {
        self.0.send(Order::Drain);
    }

    /// Has it take new sessions again.
    pub fn resume(&self) {
        self.0.send(Order::Resume);
    }
}
