//! Inputs that are lists of steps, with a byte FF between them: the first byte of a step says what
//! it is, the rest is a message or a number.

use core::time::Duration;

use clock::Time;
use sip::{ConnId, Flow, ListenerId, Transport};

/// A machine and what is around it.
pub(crate) trait World: Sized {
    /// The time, which only [`World::pass`] moves on.
    fn now(&mut self) -> &mut Time;

    /// Carries out one step of kind `kind`; `rest` is not a number only if the kind says so.
    fn step(&mut self, kind: u8, rest: &[u8]);

    /// Takes what the machine wants.
    fn drain(&mut self);

    /// When the machine wants to be woken.
    fn poll_timeout(&self) -> Option<Time>;

    /// Wakes it at the present time.
    fn handle_timeout(&mut self);

    /// What must be true once everybody is silent.
    fn end(self);

    /// Lets time pass; timers fire when they are due.
    fn pass(&mut self, time: Duration) {
        let end = *self.now() + time;
        let mut rounds = 0;
        while let Some(at) = self.poll_timeout().filter(|at| *at <= end) {
            *self.now() = at.max(*self.now());
            self.handle_timeout();
            self.drain();
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "time does not pass");
        }
        *self.now() = end;
    }
}

/// Runs an input.
pub(crate) fn run(mut world: impl World, input: &[u8]) {
    let steps = input.split(|b| *b == 0xff).filter(|s| !s.is_empty());
    for step in steps.take(STEPS_MAX) {
        world.step(step[0], &step[1..]);
        world.drain();
    }
    world.end();
}

/// A step's rest as a number; its last eight bytes.
pub(crate) fn number(rest: &[u8]) -> u64 {
    rest.iter().fold(0, |n: u64, b| n << 8 | u64::from(*b))
}

/// A path from port 5060 of an address, over UDP or by a connection over TCP.
pub(crate) fn flow(from: [u8; 4], conn: Option<ConnId>) -> Flow {
    Flow {
        transport: match conn {
            Some(_) => Transport::Tcp,
            None => Transport::Udp,
        },
        listener: ListenerId(u16::from(conn.is_some())),
        conn,
        remote: (from, 5060).into(),
    }
}

const STEPS_MAX: usize = 32;
const ROUNDS_MAX: usize = 100_000;
