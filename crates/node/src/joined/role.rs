//! What a role does with the line to control: takes configurations, says how it is, answers.

use link::proto::link_client::LinkClient;
use link::proto::{Question, Reported, Telemetry as Said};
use model::Snapshot;
use tonic::transport::Channel;

/// What a node does, as far as its line is concerned.
pub(super) trait Role: Send + 'static {
    /// The revision of the configuration that it has; 0: none.
    fn revision(&self) -> u64;

    /// Takes a configuration that came, unless it is older than the one it has.
    fn take(&mut self, snapshot: Snapshot) -> impl Future<Output = ()> + Send;

    /// Control wants what it has sent before to be taken as if it were new: what was refused then is tried
    /// again.
    fn take_anew(&mut self) -> impl Future<Output = ()> + Send;

    /// Control asks something; the answer goes up the line when it is known.
    fn ask(&mut self, question: Question, line: &LinkClient<Channel>);

    /// Control has the node begin anew.
    fn begin_anew(&mut self);

    /// How it is; `None`: it has no time to say so, and control hears nothing.
    fn look(&mut self) -> impl Future<Output = Option<Said>> + Send;

    /// What control has said to a report.
    fn heard(&mut self, reported: Reported);
}
