//! What a dispatcher is told.

use std::net::SocketAddr;
use std::time::Duration;

use balancer::{Policy, TargetSpec};
use sip::Transport;

/// How a dispatcher works.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it says of itself in Server and User-Agent.
    pub product: Box<str>,
    /// The key that all dispatchers of a cluster share.
    pub cluster_key: [u8; 32],
    /// Where its chance begins, and what tells this start from others.
    pub seed: u64,
    /// How targets are chosen and judged.
    pub policy: Policy,
    /// What a choice by hash goes by.
    pub hash_on: HashOn,
    /// What becomes of a redirection by a target.
    pub redirects: Redirects,
    /// Names it is reached by, besides the addresses of its listeners: without ports.
    pub names: Vec<Box<str>>,
    /// The name that Record-Route carries in place of our addresses, where other dispatchers with our
    /// key are behind it as well.
    pub route_name: Option<Box<str>>,
    /// How long a target may take to say anything to a request outside of dialogs.
    pub answer_timeout: Duration,
    /// New calls per second it takes from all clients together; 0: any number.
    pub cps_max: u32,
}

/// What a choice by hash goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// Call-ID.
    CallId,
    /// User and host of From.
    From,
    /// User and host of To.
    To,
    /// User and host of the request URI.
    RequestUri,
    /// The user name of the credentials; From where there are none.
    AuthUser,
}

/// What becomes of a 301 or 302 to a request outside of dialogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It is followed if it names another target, for many devices would not; others pass.
    Follow,
    /// It passes.
    Pass,
}

/// A target and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name, weight, priority, limits.
    pub spec: TargetSpec,
    /// By which transport.
    pub transport: Transport,
    /// Where.
    pub remote: SocketAddr,
    /// The host name it was found by; empty if there was none.
    pub host: Box<str>,
    /// The name its certificate must have; empty for UDP and TCP.
    pub name: Box<str>,
}
