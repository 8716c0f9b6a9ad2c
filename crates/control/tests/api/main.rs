//! The API as clients see it: the real router over a real SQLite store. Only the node behind
//! [`control::Platform`] is a stand-in, because control must not depend on it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod calls;
mod cdrs;
mod certificates;
mod drafts;
mod events;
mod exports;
mod fixture;
mod history;
mod idempotency;
mod openapi;
mod people;
mod posture;
mod problems;
mod recordings;
mod records;
mod restarts;
mod roles;
mod secrets;
mod sessions;
mod site;
mod tab;
mod tokens;
mod traces;
mod user_batch;
mod zones;
