//! How media is sent: back instead of across or nowhere (`media echo` and `drop-traffic`), and with
//! which traffic class (`TOS`).

use media::{Side, Way};
use ng::Options;
use ng::options::{DropTraffic, MediaEcho};

use super::Desk;
use crate::calls::Place;
use crate::wishes::Of;

impl Desk {
    /// Takes what a description asks for, and has the engine do what is asked of the call by now.
    /// The traffic class is an offer's to say, for both directions: an answer without it changes
    /// nothing.
    pub(super) fn turn(&mut self, call_id: &str, place: Place, asked: &Options, of: Of) {
        let Some(call) = self.calls.call_mut(call_id) else {
            return;
        };
        if let Some(echo) = asked.media_echo {
            call.branches[place.branch].ways = ways(echo, place.side);
        }
        if let Some(drop_traffic) = asked.drop_traffic {
            call.is_dropped = drop_traffic == DropTraffic::Start;
        }
        match asked.tos.map(u8::try_from) {
            _ if of == Of::Answer => {}
            Some(Ok(tos)) => call.traffic_class = tos,
            // Below 0.
            Some(Err(_)) if asked.tos < Some(0) => {}
            _ => call.traffic_class = 0,
        }
        for branch in &call.branches {
            let ways = match call.is_dropped {
                true => [Way::Nowhere; 2],
                false => branch.ways,
            };
            // A branch without a session has nothing to send.
            let _ = self.engine.set_ways(branch.session, ways);
            let traffic_class = call.traffic_class;
            let _ = self.engine.set_traffic_class(branch.session, traffic_class);
        }
    }
}

/// Where what sides A and B send goes, if the one at `sender` asks.
fn ways(echo: MediaEcho, sender: Side) -> [Way; 2] {
    let of = |back: Side| {
        let mut ways = [Way::Nowhere; 2];
        ways[back as usize] = Way::Back;
        ways
    };
    match echo {
        MediaEcho::Blackhole => [Way::Nowhere; 2],
        MediaEcho::Forward => of(sender.other()),
        MediaEcho::Backwards => of(sender),
        MediaEcho::Both => [Way::Back; 2],
    }
}
