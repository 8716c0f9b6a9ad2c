//! Leaf machines by transition, the table by rule, and pairs of tables on a bad network.

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;
mod pairs;
mod table;

use super::*;
use crate::{Framing, Transport, Writer};

const T1: core::time::Duration = core::time::Duration::from_millis(500);
const START: Time = Time::from_secs(1_700_000_000);

fn ms(ms: u64) -> core::time::Duration {
    core::time::Duration::from_millis(ms)
}

fn timers() -> Timers {
    Timers::default()
}
