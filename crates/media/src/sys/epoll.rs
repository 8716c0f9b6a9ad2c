//! epoll(7) and eventfd(2): waiting for many sockets and for the engine.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// An epoll instance, edge-triggered, for readability only: who is told of a descriptor reads it
/// until it is empty, or remembers that it did not. Level-triggered, the kernel would look at
/// each socket twice for each packet.
#[derive(Debug)]
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    /// A new, empty instance.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; a non-negative result is a descriptor nobody else owns.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was just created and is owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches `fd`; [`Epoll::wait`] names it by `token`. Closing the descriptor ends the watch.
    pub(crate) fn add(&self, fd: &impl AsFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLET) as u32,
            u64: token,
        };
        let raw = fd.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open while borrowed; `event` outlives the call.
        check(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, raw, &raw mut event)
        })?;
        Ok(())
    }

    /// Waits until something is readable or `timeout_ms` has passed and writes the tokens of what
    /// is ready to `ready`, at most [`EVENTS`]. An interrupting signal counts as nothing ready.
    pub(crate) fn wait(&self, timeout_ms: i32, ready: &mut Vec<u64>) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        ready.clear();
        // SAFETY: `events` has room for EVENTS entries and outlives the call.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                EVENTS as i32,
                timeout_ms,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error),
            };
        }
        ready.extend(events.iter().take(count as usize).map(|event| event.u64));
        Ok(())
    }
}

/// Wakes a thread that waits for it in an [`Epoll`].
#[derive(Debug)]
pub(crate) struct Alarm(File);

impl Alarm {
    /// A new, silent one.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; a non-negative result is a descriptor nobody else owns.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: `fd` was just created and is owned by nobody else.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Makes it readable.
    pub(crate) fn ring(&self) {
        // A counter that is full is readable already: the only error there can be.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable.
    pub(crate) fn silence(&self) {
        // The only error there can be says that it was silent.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// How many ready descriptors one wait reports; the rest come with the next.
pub(crate) const EVENTS: usize = 1_024;
