//! The messages of a call on one axis of time, those of all its legs.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::sdp_change::{LineChange, SdpLine, changes};
use crate::witness::{Passing, passings};
use crate::{Direction, Head, Seen, Start, Witnessed};

/// Messages between addresses, in the order in which they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ladder {
    /// The addresses, the caller's first.
    pub lanes: Vec<Lane>,
    /// The legs: that of the caller first, the others in the order in which they began.
    pub legs: Vec<LegOfLadder>,
    /// The messages.
    pub rungs: Vec<Rung>,
    /// Whether there are more messages than are shown.
    pub is_cut: bool,
}

/// An address that messages go from and to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lane {
    /// The address.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Whether it is one of a node of the platform.
    pub is_ours: bool,
    /// The node whose address it is; empty: of none, or there is only one.
    #[serde(default)]
    pub node: String,
    /// What it calls itself, by User-Agent or Server; empty: it does not say.
    pub agent: String,
}

/// What has one Call-ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LegOfLadder {
    /// The Call-ID.
    pub sip_call_id: String,
    /// Messages that were sent again.
    pub repeats: u32,
    /// From the first INVITE to the first answer beyond 100, in microseconds; `None` without one.
    pub ring_delay_us: Option<u64>,
    /// From the first INVITE to the first 2xx, in microseconds.
    pub answer_delay_us: Option<u64>,
    /// Session-Expires of the answer (RFC 4028), as it stands there.
    pub session_expires: Option<String>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rung {
    /// Identifies it in the API.
    pub id: String,
    /// When it was seen; microseconds since the Unix epoch.
    pub at_us: u64,
    /// The lane it came from.
    pub from: usize,
    /// The lane it went to.
    pub to: usize,
    /// What carried it: `udp`, `tcp`, `tls`, `ws`, `wss`.
    pub transport: String,
    /// Which way it went.
    pub direction: Direction,
    /// The system that has told of it; `None`: a node of the platform has seen it.
    pub seen_by: Option<String>,
    /// The node that has it, which is the one that sent it where another node received it; empty where
    /// there is only one.
    #[serde(default)]
    pub node: String,
    /// The other node, which received what this one sent.
    #[serde(default)]
    pub received_by: Option<String>,
    /// How much later that was, in microseconds, by the clocks of both: less than nothing where that of
    /// the other is behind.
    #[serde(default)]
    pub received_after_us: Option<i64>,
    /// The leg.
    pub leg: usize,
    /// Its first line in short: `INVITE`, `200 OK`.
    pub title: String,
    /// The method: of the request, or of what a response answers.
    pub method: String,
    /// The status of a response.
    pub status: Option<u16>,
    /// The number of CSeq.
    pub cseq: u32,
    /// How long it is as it is kept.
    pub bytes: u32,
    /// The message that this one repeats, byte for byte.
    pub repeats: Option<usize>,
    /// Whether a description is in it.
    pub has_sdp: bool,
    /// The message of another leg whose description became this one's.
    pub sdp_from: Option<usize>,
    /// What differs between the two; lines that are the same are there, too.
    pub sdp_changes: Vec<SdpLine>,
}

impl Ladder {
    /// The ladder of messages in the order of time; the leg of the caller is the one with `first_leg`,
    /// else that of the first message. What one node sent and another received stands there once, when
    /// it was sent.
    #[must_use]
    pub fn of(messages: &[Witnessed], first_leg: Option<&str>) -> Self {
        let mut ladder = Self::default();
        if let Some(id) = first_leg {
            ladder.leg(id.as_bytes());
        }
        let mut seen_before: HashMap<Same<'_>, usize> = HashMap::new();
        let mut shown: Vec<&Seen> = Vec::with_capacity(messages.len());
        for (message, passing) in messages.iter().zip(passings(messages)) {
            let arrival = match passing {
                Passing::Arrival => continue,
                Passing::ArrivedAs(at) => messages.get(at),
                Passing::Alone => None,
            };
            let seen = &message.seen;
            let head = Head::read(&seen.payload);
            let rung = ladder.rung(message, arrival, &head);
            let at = ladder.rungs.len();
            ladder.rungs.push(rung);
            shown.push(seen);
            let same = (
                seen.from,
                seen.to,
                (&*message.node, &*seen.node),
                &*seen.payload,
            );
            let first = *seen_before.entry(same).or_insert(at);
            if first != at {
                ladder.rungs[at].repeats = Some(first);
            }
            ladder.name(seen, &head, at);
        }
        ladder.follow_descriptions(&shown);
        ladder.measure(&shown);
        ladder
    }

    fn rung(&mut self, message: &Witnessed, arrival: Option<&Witnessed>, head: &Head<'_>) -> Rung {
        let (seen, node) = (&message.seen, &*message.node);
        let is_here = seen.direction != Direction::Elsewhere;
        let is_sent = seen.direction == Direction::Sent;
        let body = seen.payload.get(head.body_at..).unwrap_or_default();
        Rung {
            id: message.id.clone(),
            at_us: seen.at_us,
            from: self.lane(seen.from, (is_here && is_sent).then_some(node)),
            to: match arrival {
                Some(arrival) => self.lane(arrival.seen.to, Some(&arrival.node)),
                None => self.lane(seen.to, (is_here && !is_sent).then_some(node)),
            },
            transport: seen.transport.param_name().to_owned(),
            direction: seen.direction,
            seen_by: (!is_here).then(|| seen.node.to_string()),
            node: node.to_owned(),
            received_by: arrival.map(|arrival| arrival.node.clone()),
            received_after_us: arrival
                .map(|arrival| arrival.seen.at_us.wrapping_sub(seen.at_us).cast_signed()),
            leg: self.leg(head.call_id),
            title: title(head),
            method: text(head.method()),
            status: (head.status() != 0).then(|| head.status()),
            cseq: head.cseq,
            bytes: seen.payload.len() as u32,
            repeats: None,
            has_sdp: is_sdp(head) && !body.is_empty(),
            sdp_from: None,
            sdp_changes: Vec::new(),
        }
    }

    /// The lane of an address, which may be one of a node of ours.
    fn lane(&mut self, address: SocketAddr, owner: Option<&str>) -> usize {
        let known = self.lanes.iter().position(|lane| lane.address == address);
        let at = known.unwrap_or_else(|| {
            self.lanes.push(Lane {
                address,
                is_ours: false,
                node: String::new(),
                agent: String::new(),
            });
            self.lanes.len() - 1
        });
        let lane = &mut self.lanes[at];
        if let Some(node) = owner
            && !lane.is_ours
        {
            lane.is_ours = true;
            lane.node = node.to_owned();
        }
        at
    }

    fn leg(&mut self, call_id: &[u8]) -> usize {
        let known = self.legs.iter();
        let mut known = known.map(|leg| leg.sip_call_id.as_bytes());
        if let Some(at) = known.position(|id| id == call_id) {
            return at;
        }
        self.legs.push(LegOfLadder {
            sip_call_id: text(call_id),
            repeats: 0,
            ring_delay_us: None,
            answer_delay_us: None,
            session_expires: None,
        });
        self.legs.len() - 1
    }

    /// A message says who has sent it.
    fn name(&mut self, seen: &Seen, head: &Head<'_>, at: usize) {
        let lane = &mut self.lanes[self.rungs[at].from];
        if lane.agent.is_empty() && !lane.is_ours {
            let names: &[&str] = match head.start {
                Start::Response { .. } => &["server", "user-agent"],
                _ => &["user-agent"],
            };
            let found = names.iter().find_map(|name| header(seen, head, name));
            lane.agent = found.unwrap_or_default();
        }
    }

    /// A description that a node sends comes from the last of its kind that it has received on
    /// another leg: an offer from an offer, an answer from an answer.
    fn follow_descriptions(&mut self, messages: &[&Seen]) {
        let mut compared = 0;
        for at in 0..self.rungs.len() {
            let rung = &self.rungs[at];
            if !rung.has_sdp || rung.direction != Direction::Sent || rung.repeats.is_some() {
                continue;
            }
            let source = self.rungs[..at].iter().rposition(|other| {
                other.has_sdp
                    && other.leg != rung.leg
                    && other.receiver() == Some(&*rung.node)
                    && other.status.is_some() == rung.status.is_some()
            });
            let Some(source) = source else {
                continue;
            };
            self.rungs[at].sdp_from = Some(source);
            if compared == COMPARED_MAX {
                continue;
            }
            compared += 1;
            let found = changes(&body(messages[source]), &body(messages[at]));
            let rung = &mut self.rungs[at];
            if found.iter().any(|line| line.change != LineChange::Same) {
                rung.sdp_changes = found;
            }
        }
    }

    /// What took how long on each leg.
    fn measure(&mut self, messages: &[&Seen]) {
        for at in 0..self.legs.len() {
            let rungs = || {
                self.rungs
                    .iter()
                    .enumerate()
                    .filter(|(_, rung)| rung.leg == at)
            };
            let repeats = rungs().filter(|(_, rung)| rung.repeats.is_some()).count();
            let invites = |rung: &Rung| rung.method == "INVITE";
            let begin = rungs().find(|(_, rung)| invites(rung) && rung.status.is_none());
            let since = |found: Option<(usize, &Rung)>| {
                let (_, begin) = begin?;
                Some(found?.1.at_us.saturating_sub(begin.at_us))
            };
            let answered = |least: u16| {
                rungs().find(move |(_, rung)| {
                    rung.method == "INVITE"
                        && rung
                            .status
                            .is_some_and(|status| (least..300).contains(&status))
                })
            };
            let ring = answered(101);
            let answer = answered(200);
            let expires = answer.and_then(|(at, _)| {
                let seen = messages[at];
                let head = Head::read(&seen.payload);
                header(seen, &head, "session-expires").or_else(|| header(seen, &head, "x"))
            });
            let (ring, answer) = (since(ring), since(answer));
            let leg = &mut self.legs[at];
            leg.repeats = repeats as u32;
            leg.ring_delay_us = ring;
            leg.answer_delay_us = answer;
            leg.session_expires = expires;
        }
    }
}

impl Rung {
    /// The node that has received it, if one has.
    fn receiver(&self) -> Option<&str> {
        match self.direction {
            Direction::Received => Some(&self.node),
            Direction::Sent | Direction::Elsewhere => self.received_by.as_deref(),
        }
    }
}

/// What a repetition has in common with what it repeats: ends, who has seen it, and each byte.
type Same<'a> = (SocketAddr, SocketAddr, (&'a str, &'a str), &'a [u8]);

fn title(head: &Head<'_>) -> String {
    match head.start {
        Start::Request { method, .. } => text(method),
        Start::Response { status, phrase } => {
            format!("{status} {}", text(phrase)).trim_end().to_owned()
        }
        Start::Unreadable => "not readable".to_owned(),
    }
}

/// The value of the first header of a name.
fn header(seen: &Seen, head: &Head<'_>, name: &str) -> Option<String> {
    let lines = seen
        .payload
        .get(..head.body_at)?
        .split(|byte| *byte == b'\n');
    let values = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let is_it = line[..colon]
            .trim_ascii()
            .eq_ignore_ascii_case(name.as_bytes());
        is_it.then(|| text(line[colon + 1..].trim_ascii()))
    });
    values.into_iter().next()
}

fn is_sdp(head: &Head<'_>) -> bool {
    let media = head.content_type.get(..SDP.len());
    media.is_some_and(|media| media.eq_ignore_ascii_case(SDP))
}

fn body(seen: &Seen) -> String {
    let at = Head::read(&seen.payload).body_at;
    text(seen.payload.get(at..).unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Descriptions of one ladder that are compared line by line; of others it is only said where they
/// come from.
const COMPARED_MAX: usize = 64;
const SDP: &[u8] = b"application/sdp";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::seen;

    const PHONE: &str = "192.0.2.1:5060";
    const US: &str = "192.0.2.2:5060";
    const GATEWAY: &str = "192.0.2.3:5060";

    fn invite(call_id: &str, sdp: &str) -> String {
        format!(
            "INVITE sip:b@b SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nUser-Agent: {call_id} phone\r\n\
             Content-Type: application/sdp\r\n\r\n{sdp}"
        )
    }

    fn answer(call_id: &str, line: &str, sdp: &str) -> String {
        format!(
            "SIP/2.0 {line}\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nSession-Expires: 1800;refresher=uas\r\n\
             Content-Type: application/sdp\r\n\r\n{sdp}"
        )
    }

    fn witnessed(node: &str, seen: Seen) -> Witnessed {
        Witnessed {
            id: seen.at_us.to_string(),
            node: node.into(),
            seen,
        }
    }

    /// A call of two legs, one millisecond from message to message.
    fn call() -> Ladder {
        use Direction::{Received, Sent};
        let messages = [
            seen(
                Received,
                (PHONE, US),
                &invite("a", "v=0\r\nc=IN IP4 1.1.1.1\r\n"),
            ),
            seen(
                Received,
                (PHONE, US),
                &invite("a", "v=0\r\nc=IN IP4 1.1.1.1\r\n"),
            ),
            seen(
                Sent,
                (US, GATEWAY),
                &invite("b", "v=0\r\nc=IN IP4 2.2.2.2\r\n"),
            ),
            seen(Received, (GATEWAY, US), &answer("b", "180 Ringing", "")),
            seen(Received, (GATEWAY, US), &answer("b", "200 OK", "v=0\r\n")),
            seen(Sent, (US, PHONE), &answer("a", "200 OK", "v=0\r\n")),
        ];
        let messages: Vec<_> = (0..)
            .zip(messages)
            .map(|(at, seen)| {
                let at_us = seen.at_us + at * 1_000;
                witnessed("", Seen { at_us, ..seen })
            })
            .collect();
        Ladder::of(&messages, Some("a"))
    }

    #[test]
    fn both_legs_stand_on_one_axis() {
        let ladder = call();
        let lanes: Vec<_> = ladder
            .lanes
            .iter()
            .map(|lane| lane.address.to_string())
            .collect();
        assert_eq!(lanes, [PHONE, US, GATEWAY]);
        let ours: Vec<_> = ladder.lanes.iter().map(|lane| lane.is_ours).collect();
        assert_eq!(ours, [false, true, false]);
        assert_eq!(ladder.lanes[0].agent, "a phone");
        let arrows: Vec<_> = ladder
            .rungs
            .iter()
            .map(|r| (r.from, r.to, r.leg, r.title.as_str()))
            .collect();
        assert_eq!(
            arrows,
            [
                (0, 1, 0, "INVITE"),
                (0, 1, 0, "INVITE"),
                (1, 2, 1, "INVITE"),
                (2, 1, 1, "180 Ringing"),
                (2, 1, 1, "200 OK"),
                (1, 0, 0, "200 OK"),
            ]
        );
    }

    #[test]
    fn repetitions_and_delays_are_told() {
        let ladder = call();
        assert_eq!(ladder.rungs[1].repeats, Some(0));
        assert_eq!(ladder.legs[0].repeats, 1);
        assert_eq!(ladder.legs[0].ring_delay_us, Some(5_000));
        assert_eq!(ladder.legs[1].ring_delay_us, Some(1_000));
        assert_eq!(ladder.legs[1].answer_delay_us, Some(2_000));
        assert_eq!(
            ladder.legs[1].session_expires.as_deref(),
            Some("1800;refresher=uas")
        );
    }

    #[test]
    fn a_description_is_followed_from_leg_to_leg() {
        let ladder = call();
        assert_eq!(ladder.rungs[2].sdp_from, Some(1));
        let changed = ladder.rungs[2].sdp_changes.iter();
        let changed: Vec<_> = changed
            .filter(|line| line.change != LineChange::Same)
            .collect();
        assert_eq!(changed.len(), 2);
        assert_eq!(changed[1].text, "c=IN IP4 2.2.2.2");
        assert_eq!(ladder.rungs[5].sdp_from, Some(4));
        assert!(
            ladder.rungs[5].sdp_changes.is_empty(),
            "passed on as it was"
        );
    }

    #[test]
    fn what_two_nodes_have_seen_stands_there_once_and_each_has_its_lane() {
        use Direction::{Received, Sent};
        let (edge, berlin) = ("192.0.2.8:5060", "192.0.2.9:5060");
        let offer = invite("a", "v=0\r\nc=IN IP4 1.1.1.1\r\n");
        let passed_on = offer.replace("CSeq", "Via: edge\r\nCSeq");
        let anew = invite("b", "v=0\r\nc=IN IP4 2.2.2.2\r\n");
        let messages = [
            ("edge", seen(Received, (PHONE, edge), &offer)),
            ("edge", seen(Sent, (edge, berlin), &passed_on)),
            // By its own clock.
            ("berlin", seen(Received, (edge, berlin), &passed_on)),
            ("berlin", seen(Sent, (berlin, GATEWAY), &anew)),
        ];
        let messages = (0..).zip(messages).map(|(at, (node, seen))| {
            let at_us = seen.at_us + at * 1_000;
            witnessed(node, Seen { at_us, ..seen })
        });
        let messages: Vec<_> = messages.collect();
        let ladder = Ladder::of(&messages, Some("a"));
        let lanes = ladder.lanes.iter();
        let lanes: Vec<_> = lanes
            .map(|lane| (lane.address.to_string(), &*lane.node))
            .collect();
        let wanted = [
            (PHONE, ""),
            (edge, "edge"),
            (berlin, "berlin"),
            (GATEWAY, ""),
        ];
        assert_eq!(lanes, wanted.map(|(lane, node)| (lane.to_owned(), node)));
        let arrows = ladder.rungs.iter();
        let arrows: Vec<_> = arrows
            .map(|rung| (rung.from, rung.to, &*rung.node, rung.received_by.as_deref()))
            .collect();
        let wanted = [
            (0, 1, "edge", None),
            (1, 2, "edge", Some("berlin")),
            (2, 3, "berlin", None),
        ];
        assert_eq!(arrows, wanted);
        assert_eq!(ladder.rungs[1].received_after_us, Some(1_000));
        assert_eq!(ladder.rungs[2].sdp_from, Some(1), "as berlin received it");
        assert_eq!(ladder.legs[0].repeats, 0);
    }
}
