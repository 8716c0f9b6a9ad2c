//! Where the virtual address of a cluster is, which the switch has to know: from there it speaks to
//! phones that registered there, and where the address is elsewhere nobody would hear their answers.

use std::net::IpAddr;
use std::time::Duration;

use sip::ListenerId;
use switch::Presence;
use tokio::time::{MissedTickBehavior, interval};

use crate::visit::Visitor;
use crate::{addresses, listeners};

/// Tells the switch again and again, for as long as the runtime runs.
pub(crate) async fn watch(address: IpAddr, visitor: Visitor) {
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let presence = match addresses::is_here(address) {
            true => Presence::Here,
            false => Presence::Elsewhere,
        };
        // Where too much waits for the switch, the next look tells it.
        let _ = visitor.tell(move |_, machine, _| {
            for id in listeners::VIRTUAL {
                machine.switch.set_presence(ListenerId(id), presence);
            }
        });
    }
}

/// What comes to the address says at once that it is here.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
