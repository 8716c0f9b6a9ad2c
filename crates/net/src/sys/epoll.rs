//! epoll(7) and eventfd(2): waiting for several sockets and for other threads.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// An epoll instance, level-triggered, for readability only.
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
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        let raw = fd.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open while borrowed; `event` outlives the call.
        check(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, raw, &raw mut event)
        })?;
        Ok(())
    }

    /// Waits until something is readable or `timeout_ms` has passed (-1: for ever) and writes the
    /// tokens of what is ready, be it data or an error, to `ready`. An interrupting signal counts as nothing ready.
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

/// A new non-blocking eventfd(2); reading it clears it, writing 8 bytes adds to it.
pub(crate) fn eventfd() -> io::Result<File> {
    // SAFETY: takes no pointers; a non-negative result is a descriptor nobody else owns.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: `fd` was just created and is owned by nobody else.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Waits at most `timeout_ms` until `fd` can be written; whether it can.
pub(crate) fn wait_writable(fd: &impl AsFd, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd {
        fd: fd.as_fd().as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one pollfd is passed with length one, and it outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) == 1 }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// How many ready descriptors one wait reports; the rest come with the next.
const EVENTS: usize = 64;
