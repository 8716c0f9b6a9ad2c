//! What a program and its children use of the machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::family;

/// The processor time, user and system, of a process and all below it. Threads that have
/// ended in between count where the kernel has added them to their process.
pub(crate) fn cpu(root: u32) -> Duration {
    family(root)
        .into_iter()
        .map(|pid| by_thread(pid).max(by_process(pid)))
        .sum()
}

/// The time that the living threads of a process and all below it were on a processor, with the
/// interrupts that hit them: the same clock at every moment, as differences of wholes need it.
pub(crate) fn on_processor(root: u32) -> Duration {
    family(root).into_iter().map(by_thread).sum()
}

/// The processor time of the kernel's threads that handle packets nobody's own time pays for.
pub(crate) fn softirq() -> Duration {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_softirq = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.starts_with("ksoftirqd/"))
    };
    pids.filter(is_softirq).map(by_thread).sum()
}

/// Frames that the interfaces of this thread's network have dropped, coming and going.
pub(crate) fn dropped_by_links() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let dropped = |line: &str| {
        let (_, figures) = line.split_once(':')?;
        let figures: Vec<u64> = figures
            .split_whitespace()
            .filter_map(|figure| figure.parse().ok())
            .collect();
        Some(figures.get(RX_DROPPED)? + figures.get(TX_DROPPED)?)
    };
    text.lines().filter_map(dropped).sum()
}

/// Datagrams that the open UDP sockets of this thread's network have dropped.
pub(crate) fn dropped_by_sockets() -> u64 {
    let read = |family| fs::read_to_string(format!("/proc/thread-self/net/{family}"));
    let tables = ["udp", "udp6"].map(|family| read(family).unwrap_or_default());
    let dropped = |line: &str| line.split_whitespace().last()?.parse::<u64>().ok();
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    sockets.filter_map(dropped).sum()
}

/// How many files a process may have open here at most.
pub(crate) fn files_max() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(4)?.parse().ok());
    hard.unwrap_or(1_024)
}

/// The memory of a process and all below it in bytes, shared pages divided among their users
/// (Pss).
pub(crate) fn memory_bytes(root: u32) -> Result<u64> {
    let mut sum_kb = 0;
    for pid in family(root) {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let size = line.and_then(|line| line.trim().strip_suffix("kB"));
        let size: u64 = size
            .and_then(|size| size.trim().parse().ok())
            .context("no Pss")?;
        sum_kb += size;
    }
    Ok(sum_kb * 1_024)
}

/// Keeps this thread, and what it starts from here on, on one processor.
#[expect(unsafe_code, reason = "sched_setaffinity has no safe form in std")]
pub(crate) fn pin(processor: usize) -> Result<()> {
    // SAFETY: all zeros is an empty set, which CPU_SET then fills; the set lives through the
    // call, and its size is given.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, std::mem::size_of_val(&set), &raw const set)
    };
    anyhow::ensure!(result == 0, "this machine has no processor {processor}");
    Ok(())
}

/// Nanosecond grain, living threads only.
fn by_thread(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let times = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}

/// The grain of a clock tick, ended threads included.
fn by_process(pid: u32) -> Duration {
    let ticks =
        stat_field(pid, USER_TICKS).unwrap_or(0) + stat_field(pid, SYSTEM_TICKS).unwrap_or(0);
    // One tick less, for the rounding: it must not hide the finer figure.
    Duration::from_millis(ticks.saturating_sub(1) * TICK_MS)
}

/// A field of /proc/PID/stat, counted from 0 behind the name, which may hold blanks.
fn stat_field(pid: u32, field: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(field)?.parse().ok()
}

/// Columns of /proc/net/dev.
const RX_DROPPED: usize = 3;
const TX_DROPPED: usize = 11;
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
/// Linux reports in hundredths of a second on every common architecture.
const TICK_MS: u64 = 10;
