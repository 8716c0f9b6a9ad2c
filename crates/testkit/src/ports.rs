//! Ports that no other test on this machine uses.
//!
//! Tests run in many processes at once, so asking the kernel for a free port and giving it to
//! a program later is a race. Here a process locks a block of ports (a file lock, released by
//! the kernel when the process ends, however it ends) and hands out ports of that block.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Mutex;

/// A port that is free for UDP and TCP.
///
/// # Panics
/// If this machine has no free block of ports left.
pub fn one() -> u16 {
    run_of(1)
}

/// The first of `count` ports in a row, all free for UDP and TCP; at most [`BLOCK_SIZE`].
///
/// # Panics
/// If this machine has no free block of ports left, or `count` is larger than a block.
pub fn run_of(count: u16) -> u16 {
    assert!(
        count <= BLOCK_SIZE,
        "{count} ports in a row are more than a block holds"
    );
    let mut blocks = BLOCKS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    loop {
        if let Some(block) = blocks.last_mut() {
            while block.next + count <= block.end {
                let first = block.next;
                block.next += count;
                if (first..first + count).all(is_free) {
                    return first;
                }
            }
        }
        blocks.push(Block::lock().expect("some block of ports is free"));
    }
}

/// How many ports a block has.
pub const BLOCK_SIZE: u16 = 400;

/// A locked block; its ports are used up in order.
struct Block {
    next: u16,
    end: u16,
    _lock: File,
}

impl Block {
    /// Locks a block that nobody has; `None` if all are taken.
    fn lock() -> Option<Self> {
        // Processes that start together begin at different places.
        let start = u16::try_from(std::process::id() % u32::from(BLOCK_COUNT)).ok()?;
        (0..BLOCK_COUNT)
            .map(|i| (start + i) % BLOCK_COUNT)
            .find_map(|number| {
                let path = std::env::temp_dir().join(format!("tandem-test-ports-{number}"));
                let file = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .ok()?;
                file.try_lock().is_ok().then(|| {
                    let next = FIRST_PORT + number * BLOCK_SIZE;
                    Self {
                        next,
                        end: next + BLOCK_SIZE,
                        _lock: file,
                    }
                })
            })
    }
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}

static BLOCKS: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Above the ports of known services, below those the kernel hands out (32768 and up).
const FIRST_PORT: u16 = 10_000;
const BLOCK_COUNT: u16 = 55;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_do_not_overlap() {
        let first = run_of(10);
        let second = run_of(10);
        assert!(second >= first + 10 || second + 10 <= first);
    }
}
