//! This node among the servers of its platform: which it is, and those that report to it.

use model::ServerId;

use super::{Control, now};
use crate::nodes::{Asking, EventsTaken, Fleet, Joining};

impl Control {
    /// What was heard of the nodes.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.0.fleet
    }

    /// Questions to the nodes.
    pub(crate) fn asking(&self) -> &Asking {
        &self.0.asking
    }

    /// How far the events of the nodes have come.
    pub(crate) fn events_taken(&self) -> &EventsTaken {
        &self.0.events_taken
    }

    /// What machines join with, where they can.
    pub(crate) fn joining(&self) -> Option<Joining> {
        self.0.joining.get().cloned()
    }

    /// Machines can join from now on.
    pub(crate) fn join_nodes_with(&self, joining: Joining) {
        // A second time there is nothing new.
        let _ = self.0.joining.set(joining);
    }

    /// This node is a server of the list: what is said of that one holds for it.
    pub fn is_server(&self, own: ServerId) {
        let _ = self.0.own_server.set(own);
    }

    /// This node has joined the platform whose control is at `host:port`.
    pub fn belongs_to(&self, control: &str) {
        let _ = self.0.platform_of.set(control.to_owned());
    }

    /// Where the control is of the platform that this node has joined, if it has.
    pub(crate) fn platform_of(&self) -> Option<&str> {
        self.0.platform_of.get().map(String::as_str)
    }

    /// The server that this node is, if it is one of the list.
    pub(crate) fn own_server(&self) -> Option<ServerId> {
        self.0.own_server.get().copied()
    }

    /// How this node is, where it is a server of the list; whom it is to measure its distance to.
    pub async fn report_own(&self, report: crate::Report) -> Vec<crate::Neighbour> {
        let Some(own) = self.0.own_server.get() else {
            return Vec::new();
        };
        self.fleet().hear(*own, report, now().as_micros());
        self.neighbours(*own).await
    }

    /// Whom a node is to measure its distance to; nobody, where it is not known who there is.
    pub(crate) async fn neighbours(&self, asker: ServerId) -> Vec<crate::Neighbour> {
        let Ok(newest) = self.newest_snapshot().await else {
            return Vec::new();
        };
        let snapshot = newest.borrow().clone();
        self.fleet().neighbours(asker, &snapshot)
    }
}
