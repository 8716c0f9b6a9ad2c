//! Whole calls, one rule at a time. Each test ends by [`world::World::close`], which checks that
//! everything that was begun has ended, once.

mod basic;
mod dialog;
mod early;
mod failures;
mod forking;
mod identity;
mod media;
mod offers;
mod peer;
mod replaces;
mod timers;
mod transfer;
mod world;
