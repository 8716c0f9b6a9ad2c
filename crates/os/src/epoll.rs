//! epoll(7), eventfd(2) and poll(2): waiting for sockets and for other threads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// An epoll instance, for readability only.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// When a watched descriptor is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By each wait while it is readable: the kernel looks at it once more after it was read, but
    /// who is told need not read it until it is empty.
    Level,
    /// Once for what has come: who is told reads it until it is empty, or remembers that it did
    /// not.
    Edge,
}

impl Epoll {
    /// A new, empty instance.
    ///
    /// # Errors
    /// The kernel gives no descriptor.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; a non-negative result is a descriptor nobody else owns.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was just created and is owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Watches `fd`; [`Epoll::wait`] names it by `token`. Closing the descriptor ends the watch.
    ///
    /// # Errors
    /// Out of the kernel's memory, or of the user's watches.
    pub fn add(&self, fd: &impl AsFd, token: u64, trigger: Trigger) -> io::Result<()> {
        let edge = match trigger {
            Trigger::Level => 0,
            Trigger::Edge => libc::EPOLLET,
        };
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | edge) as u32,
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
    /// tokens of what is ready, be it data or an error, to `ready`, at most [`EVENTS_MAX`]. An
    /// interrupting signal counts as nothing ready.
    ///
    /// # Errors
    /// Only by a bug.
    pub fn wait(&self, timeout_ms: i32, ready: &mut Vec<u64>) -> io::Result<()> {
        let mut events = [const { MaybeUninit::<libc::epoll_event>::uninit() }; EVENTS_MAX];
        ready.clear();
        // SAFETY: `events` has room for EVENTS_MAX entries and outlives the call.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr().cast(),
                EVENTS_MAX as i32,
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
        // SAFETY: the kernel has written the first `count` entries.
        let token =
            |event: &MaybeUninit<libc::epoll_event>| unsafe { event.assume_init_read() }.u64;
        ready.extend(events.iter().take(count as usize).map(token));
        Ok(())
    }
}

/// Wakes a thread that waits for it in an [`Epoll`].
#[derive(Debug)]
pub struct Alarm(File);

impl Alarm {
    /// A new, silent one.
    ///
    /// # Errors
    /// The kernel gives no descriptor.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; a non-negative result is a descriptor nobody else owns.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: `fd` was just created and is owned by nobody else.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Makes it readable.
    pub fn ring(&self) {
        // A counter that is full is readable already: the only error there can be.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable.
    pub fn silence(&self) {
        // The only error there can be says that it was silent.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits at most `timeout_ms` until `fd` can be written; whether it can.
#[must_use]
pub fn wait_writable(fd: &impl AsFd, timeout_ms: i32) -> bool {
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
pub const EVENTS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_wakes_once_by_edge_and_as_long_as_it_rings_by_level() {
        let epoll = Epoll::new().expect("an instance");
        let alarms = [Alarm::new(), Alarm::new()].map(|alarm| alarm.expect("an alarm"));
        epoll.add(&alarms[0], 7, Trigger::Level).expect("a watch");
        epoll.add(&alarms[1], 8, Trigger::Edge).expect("a watch");
        let wait = || {
            let mut ready = vec![99];
            epoll.wait(0, &mut ready).expect("a wait");
            ready.sort_unstable();
            ready
        };
        assert_eq!(wait(), []);
        alarms.iter().for_each(Alarm::ring);
        assert_eq!(wait(), [7, 8]);
        assert_eq!(wait(), [7]);
        alarms.iter().for_each(Alarm::silence);
        assert_eq!(wait(), []);
    }
}
