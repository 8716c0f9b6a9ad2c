//! The same flows once more: after each step that leaves the call at rest it is replaced by what
//! its snapshot says, and nobody must notice.

#![allow(clippy::unwrap_used, reason = "a test that meets nothing has failed")]
#![allow(dead_code, reason = "what only tests of the resumed call use")]

#[path = "../flows/basic.rs"]
mod basic;
#[path = "../flows/challenges.rs"]
mod challenges;
#[path = "../flows/chaos.rs"]
mod chaos;
#[path = "../flows/dialog.rs"]
mod dialog;
#[path = "../flows/early.rs"]
mod early;
#[path = "../flows/failures.rs"]
mod failures;
#[path = "../flows/forking.rs"]
mod forking;
#[path = "../flows/identity.rs"]
mod identity;
#[path = "../flows/ledger.rs"]
mod ledger;
#[path = "../flows/media.rs"]
mod media;
#[path = "../flows/offers.rs"]
mod offers;
#[path = "../flows/peer.rs"]
mod peer;
#[path = "../flows/reanchor.rs"]
mod reanchor;
#[path = "../flows/replaces.rs"]
mod replaces;
#[path = "../flows/timers.rs"]
mod timers;
#[path = "../flows/transfer.rs"]
mod transfer;
#[path = "../flows/world.rs"]
mod world;
