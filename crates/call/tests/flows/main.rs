//! Whole calls, one rule at a time. Each test ends by [`world::World::close`], which checks that
//! everything that was begun has ended, once.

#![allow(clippy::unwrap_used, reason = "a test that meets nothing has failed")]

mod basic;
mod challenges;
mod chaos;
mod dialog;
mod early;
mod elsewhere;
mod failures;
mod forking;
mod identity;
mod ledger;
mod media;
mod offers;
mod peer;
mod reanchor;
mod replaces;
mod ringing;
mod timers;
mod transfer;
mod world;
