//! Where a call goes that this server has no room for (MISSION 32 to 34): to a peer, by a 302 that
//! the caller or a dispatcher follows.
//!
//! The URI of the 302 names all who were asked, so that a call comes to nobody twice, whichever
//! way it takes: once all are full its caller gets 503.

use std::net::SocketAddr;

use model::{OVERFLOW_PEERS_MAX, Overflow};
use sip::{Message, Transport, Uri};

use crate::Switch;

/// Where to, and who was asked by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextPeer {
    /// `host[:port]`
    pub(crate) peer: Box<str>,
    /// `;tandem-overflow=10.0.0.1:5060/10.0.0.2:5060`
    pub(crate) mark: String,
}

impl Switch {
    /// The peer that a call goes to for which there is no room.
    pub(crate) fn next_peer(&self, message: &Message) -> Option<NextPeer> {
        let own = self.listeners.all().iter().map(|l| l.advertised);
        let own: Vec<SocketAddr> = own.collect();
        next_peer(&self.snapshot.settings.overflow, &own, message.uri())
    }
}

/// Those who had no room for a call before it came here, in order; `None` if it was not sent here
/// for that.
pub(crate) fn asked(uri: &[u8]) -> Option<Vec<String>> {
    let value = Uri::parse(uri).ok()?.params.find(MARK)?;
    let text = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    Some(text.split('/').map(str::to_owned).collect())
}

/// The next in the list behind ourselves, so that the calls of a full server do not all go to the
/// first of the others.
fn next_peer(overflow: &Overflow, own: &[SocketAddr], uri: &[u8]) -> Option<NextPeer> {
    let peers = &overflow.peers;
    let mut asked = asked(uri).unwrap_or_default();
    if asked.len() > OVERFLOW_PEERS_MAX {
        return None;
    }
    let is_own = |peer: &String| address_of(peer).is_some_and(|at| own.contains(&at));
    let ourselves = peers.iter().position(is_own);
    let start = ourselves.map_or(0, |at| at + 1);
    let (before, behind) = peers.split_at_checked(start)?;
    let peer = behind
        .iter()
        .chain(before)
        .find(|peer| !is_own(peer) && !asked.contains(peer))?;
    let name = match ourselves.and_then(|at| peers.get(at)) {
        Some(name) => name.clone(),
        None => own.first().map(ToString::to_string).unwrap_or_default(),
    };
    for one in [&name, peer] {
        if !one.is_empty() && !asked.contains(one) {
            asked.push(one.clone());
        }
    }
    Some(NextPeer {
        peer: peer.as_str().into(),
        mark: format!(";{MARK}={}", asked.join("/")),
    })
}

/// The address of a peer that is named by one.
fn address_of(peer: &str) -> Option<SocketAddr> {
    let (host, port) = sip::uri::host_port(peer.as_bytes()).ok()?;
    let port = port.unwrap_or(Transport::Udp.default_port());
    Some(SocketAddr::new(sip::uri::parse_ip(host)?, port))
}

/// The parameter of the URI that names who was asked.
const MARK: &str = "tandem-overflow";

#[cfg(test)]
mod tests {
    use super::*;

    fn overflow(peers: &[&str]) -> Overflow {
        Overflow {
            peers: peers.iter().map(|&peer| peer.to_owned()).collect(),
            retry_after_s: 0,
        }
    }

    fn own(address: &str) -> [SocketAddr; 1] {
        [address.parse().unwrap()]
    }

    /// Where a call goes from each full server in turn.
    fn travels(peers: &[&str], first: &str) -> Vec<String> {
        let overflow = overflow(peers);
        let mut at = first.to_owned();
        let mut uri = "sip:600@example.com".to_owned();
        let mut way = vec![at.clone()];
        while let Some(next) = next_peer(&overflow, &own(&at), uri.as_bytes()) {
            at = next.peer.to_string();
            uri = format!("sip:600@{at}{}", next.mark);
            way.push(at.clone());
            assert!(way.len() < 10, "round and round: {way:?}");
        }
        way
    }

    #[test]
    fn a_call_comes_to_each_full_server_once() {
        let all = ["10.0.0.1:5060", "10.0.0.2:5060", "10.0.0.3:5060"];
        assert_eq!(travels(&all, all[0]), [all[0], all[1], all[2]]);
        assert_eq!(travels(&all, all[1]), [all[1], all[2], all[0]]);
        assert_eq!(travels(&all[..1], all[0]), [all[0]]);
    }

    #[test]
    fn a_server_outside_of_the_list_is_not_named_by_it_and_asks_all() {
        let all = ["10.0.0.1:5060", "10.0.0.2:5060"];
        let stranger = "10.0.0.9:5060";
        assert_eq!(travels(&all, stranger), [stranger, all[0], all[1]]);
    }

    #[test]
    fn two_that_name_each_other_ask_each_other_once() {
        let [a, b] = ["10.0.0.1:5060", "10.0.0.2:5060"];
        let first = next_peer(&overflow(&[b]), &own(a), b"sip:600@example.com").unwrap();
        assert_eq!(&*first.peer, b);
        let uri = format!("sip:600@{b}{}", first.mark);
        assert_eq!(next_peer(&overflow(&[a]), &own(b), uri.as_bytes()), None);
    }

    #[test]
    fn the_standard_port_need_not_be_named() {
        let overflow = overflow(&["10.0.0.1", "b.example.com"]);
        let next = next_peer(&overflow, &own("10.0.0.1:5060"), b"sip:600@example.com").unwrap();
        assert_eq!(&*next.peer, "b.example.com");
        assert_eq!(next.mark, ";tandem-overflow=10.0.0.1/b.example.com");
    }

    #[test]
    fn a_mark_without_end_ends_the_search() {
        let long = vec!["x"; 200].join("/");
        let uri = format!("sip:600@10.0.0.1;tandem-overflow={long}");
        let overflow = overflow(&["10.0.0.2"]);
        assert_eq!(
            next_peer(&overflow, &own("10.0.0.1:5060"), uri.as_bytes()),
            None
        );
    }
}
