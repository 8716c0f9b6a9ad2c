//! A dialog of a peer written by hand, and the requests it sends inside.

use crate::message::Message;
use crate::peer::Peer;
use crate::stream_peer::StreamPeer;

/// What the requests of one side have in common.
#[derive(Clone, Debug)]
pub struct Dialog {
    uri: String,
    from: String,
    to: String,
    /// The route set (RFC 3261 §12.1), in the order of Route.
    routes: Vec<String>,
    /// Call-ID.
    pub call_id: String,
    /// The tag of this side.
    pub local_tag: String,
    /// The tag of the other.
    pub remote_tag: String,
}

impl Dialog {
    /// Of whoever sent this INVITE and got this answer.
    ///
    /// # Panics
    /// If the INVITE is none of ours.
    #[must_use]
    #[track_caller]
    pub fn of_caller(invite: &str, answer: &Message) -> Self {
        let invite = Message::parse(invite).expect("we built this INVITE");
        let header = |m: &Message, name| m.header(name).unwrap_or_default().to_owned();
        Self {
            uri: answer.contact_uri().to_owned(),
            from: header(&invite, "From"),
            to: header(answer, "To"),
            routes: route_set(answer).into_iter().rev().collect(),
            call_id: header(&invite, "Call-ID"),
            local_tag: invite.from_tag().to_owned(),
            remote_tag: answer.to_tag().to_owned(),
        }
    }

    /// Of whoever got this INVITE and answered it with this tag.
    #[must_use]
    pub fn of_callee(invite: &Message, tag: &str) -> Self {
        let header = |name| invite.header(name).unwrap_or_default().to_owned();
        Self {
            uri: invite.contact_uri().to_owned(),
            from: format!("{};tag={tag}", header("To")),
            to: header("From"),
            routes: route_set(invite),
            call_id: header("Call-ID"),
            local_tag: tag.to_owned(),
            remote_tag: invite.from_tag().to_owned(),
        }
    }

    /// What a request inside has of it.
    pub(crate) fn lines(&self, method: &str, sequence: u32) -> Vec<String> {
        let mut lines = vec![
            format!("From: {}", self.from),
            format!("To: {}", self.to),
            format!("Call-ID: {}", self.call_id),
            format!("CSeq: {sequence} {method}"),
        ];
        lines.extend(self.routes.iter().map(|route| format!("Route: {route}")));
        lines
    }
}

impl StreamPeer {
    /// A request inside a dialog, as [`Peer::within`] makes it.
    #[must_use]
    pub fn within(&self, dialog: &Dialog, method: &str, sequence: u32) -> String {
        let lines = dialog.lines(method, sequence);
        let all: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.request(method, &dialog.uri, &all, "")
    }
}

impl Peer {
    /// A request inside a dialog; ACK has the number of its INVITE.
    #[must_use]
    pub fn within(
        &self,
        dialog: &Dialog,
        method: &str,
        sequence: u32,
        extra: &[&str],
        body: &str,
    ) -> String {
        let lines = dialog.lines(method, sequence);
        let all: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .chain(extra.iter().copied())
            .collect();
        self.request(method, &dialog.uri, &all, body)
    }
}

/// What proxies on the way have recorded, as it stands there.
pub(crate) fn route_set(message: &Message) -> Vec<String> {
    message.all("Record-Route").map(str::to_owned).collect()
}
