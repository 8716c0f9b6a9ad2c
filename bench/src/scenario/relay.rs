//! What relaying costs: a load of audio, and the processor time of the program that relays.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::load::latency::Latencies;
use crate::load::rtp::{Rate, RtpLoad};
use crate::load::voice::Voice;
use crate::scenario::{Effort, us_per_unit};

/// What one run showed.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// Processor time per packet that arrived.
    pub(crate) us_per_packet: f64,
    pub(crate) packets_per_s: f64,
    pub(crate) lost: u64,
    /// From phone to phone: median and 99 of 100.
    pub(crate) delay_us: (u128, u128),
}

/// Runs a load, warm-up first; `cpu` tells the processor time used so far.
pub(crate) fn measure<V: Voice>(
    mut load: RtpLoad<V>,
    rate: Rate,
    effort: &Effort,
    mut cpu: impl FnMut() -> Duration,
) -> Result<Relayed> {
    // The relay learns addresses from the first packets, and drops some meanwhile.
    load.run_for(effort.warm_up, rate);
    load.drain();
    let lost_before = load.sent - load.received;
    load.delays = Latencies::new();
    let (cpu_before, received) = (cpu(), load.received);
    load.run_for(effort.window, rate);
    let used = cpu().saturating_sub(cpu_before);
    let relayed = load.received - received;
    load.drain();
    ensure!(
        relayed > 0,
        "none of {} streams was relayed",
        load.streams()
    );
    let delay = |share| load.delays.quantile(share).as_micros();
    Ok(Relayed {
        us_per_packet: us_per_unit(used, relayed),
        packets_per_s: relayed as f64 / effort.window.as_secs_f64(),
        lost: (load.sent - load.received).saturating_sub(lost_before),
        delay_us: (delay(0.5), delay(0.99)),
    })
}
