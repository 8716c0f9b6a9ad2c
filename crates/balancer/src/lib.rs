//! Which of several targets a new call goes to.
//!
//! [`Balancer`] holds a set of targets, what is known of their health and load, and chooses. It
//! knows nothing of SIP messages: whoever forwards them tells it what became of each attempt.
//! Time comes with every call, chance as a [`Draw`].

mod balancer;
mod calls;
mod choice;
mod draw;
mod health;
mod latency;
mod overload;
mod policy;
mod target;

pub use balancer::{Balancer, Event, Refusal, SetError, TARGETS_MAX, TargetStatus, Work};
pub use calls::{CALL_AGE_MAX, CALLS_MAX};
pub use draw::Draw;
pub use health::{Cause, State};
pub use overload::{Loss, OVERLOAD_VALIDITY};
pub use policy::{Algorithm, Passive, Policy, Probing};
pub use target::{Admission, TargetId, TargetSpec};

#[cfg(test)]
mod tests;
