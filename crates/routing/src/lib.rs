//! Which way a call goes, and why.
//!
//! A [`Table`] is compiled from a configuration snapshot; [`Table::decide`] answers one call from
//! it without a store, a clock or a random source. Each decision can tell its steps to a
//! [`Trace`]; live calls and the simulator run the same function.
//!
//! Who may reach what:
//!
//! | caller | service numbers | users by name | numbers (DIDs) | carriers |
//! |---|---|---|---|---|
//! | user, by digest | yes | yes | yes | yes |
//! | customer, by digest or network | yes | no | yes | yes |
//! | carrier, by a gateway's address | no | no | yes | never: no open relay |
//! | anybody else | no | no | no | no: challenged |

mod attempts;
mod caller;
mod decide;
mod decision;
mod dialled;
mod entities;
mod health;
mod networks;
mod replay;
mod step;
mod table;
mod trie;

pub use attempts::ATTEMPTS_MAX;
pub use caller::{Caller, Certified, Credentials, Identity, Source};
pub use decide::{Domain, Request};
pub use decision::{Attempt, Decision, Refusal, Service, Target};
pub use dialled::Dialled;
pub use entities::{cluster_of, limit, limits_of};
pub use health::{
    Availability, CALLS_DOWN, DownCause, Failure, Health, HealthEvent, HealthStatus, PROBES_DOWN,
    PROBES_UP, Probe, REST_S, RETRY_AFTER_MAX_S,
};
pub use networks::Networks;
pub use replay::{
    Replay, ReplayDifference, ReplayLoad, ReplayReport, ReplaySide, Unjudged, Verdict, Way,
};
pub use step::{GatewayMatch, Rewriter, STEPS_MAX, SkipReason, Step, Trace};
pub use table::Table;
pub use trie::Trie;
