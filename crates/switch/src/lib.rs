//! The switch role: registrar, routing, limits, calls and defence in one machine.
//!
//! [`Switch`] owns no socket, clock, store or thread. It takes messages as they come from the
//! network, answers of the resolver and of the media relay, and commands of the operator; it
//! gives [`Output`]s, in order. Call [`Switch::handle_timeout`] at [`Switch::poll_timeout`], and
//! drain [`Switch::poll_output`] after each step.
//!
//! Requests inside a dialog find their call by our own tag, which carries the call's key; so
//! there is no table of dialogs.

mod call_list;
mod calls;
mod certificates;
mod counters;
mod defence;
mod dial;
mod duties;
mod facts;
mod ingress;
mod invite;
mod keep;
mod listeners;
mod locations;
pub mod media_servers;
mod media_terms;
mod message;
mod output;
mod overflow;
mod owner;
mod passage;
mod ping;
mod place;
mod plan;
mod refuse;
mod register;
mod shares;
mod source;
mod stop;
mod switch;
mod takeover;
mod upstream;
mod views;

pub use call::MediaAsk;
pub use call_list::CallGlance;
pub use counters::{BUCKETS_MS, Counters, Histogram, METHODS};
pub use defence::{
    BAN, BANS_MAX, Ban, Defence, FAILURES_MAX, FAILURES_WINDOW, REQUESTS_BURST_MAX,
    REQUESTS_PER_S_MAX, SOURCES_MAX,
};
pub use duties::{Duty, Held};
pub use keep::RECORD_FORMAT;
pub use listeners::{Listener, Listeners, Presence};
pub use locations::{Among, Peer};
pub use media_terms::{Carriage, Feedback, Ice, IceAgent, MediaTerms, Rtcp};
pub use output::{CallChange, CallKey, Event, JournalEvent, MediaRequest, Opening, Output};
pub use plan::gateway_uri;
pub use switch::{Switch, SwitchConfig};
pub use takeover::{NotTaken, Whereabouts};
pub use views::{Leftovers, RouteQuery, RouteView};
