//! Rules that every message of the switch keeps.

use std::collections::HashMap;
use std::net::SocketAddr;

use sip::{Framing, Message, Method};

use crate::agent::{Agent, Kind};

/// What the switch has said so far, as far as it binds it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The final response to each INVITE transaction, by peer and branch.
    finals: HashMap<(SocketAddr, Vec<u8>), (u16, Vec<u8>)>,
}

impl Watch {
    /// Judges one message to a peer.
    ///
    /// # Errors
    /// The rule it breaks.
    pub(crate) fn judge(
        &mut self,
        to: SocketAddr,
        peer: Option<&Agent>,
        bytes: &bytes::Bytes,
    ) -> Result<Option<Message>, String> {
        if bytes.len() <= 4 {
            return Ok(None);
        }
        let message = Message::parse(bytes.clone(), Framing::Datagram)
            .map_err(|e| format!("the switch sent what is no message: {:?}", e.error))?;
        if let Err(violation) = message.check() {
            return Err(format!("the switch broke a rule: {violation:?}"));
        }
        match peer {
            None => return Err(format!("the switch sent to {to}, where nobody is")),
            Some(agent) if message.is_request() => right_address(agent, &message)?,
            Some(_) => self.one_final(to, &message)?,
        }
        Ok(Some(message))
    }

    /// One final answer per INVITE transaction.
    fn one_final(&mut self, to: SocketAddr, message: &Message) -> Result<(), String> {
        if message.method() != Method::Invite || message.status() < 200 {
            return Ok(());
        }
        let branch = message
            .via()
            .ok()
            .and_then(|via| via.branch())
            .unwrap_or_default();
        let tag = message.to().ok().and_then(|t| t.tag()).unwrap_or_default();
        let fresh = match message.status() {
            // Nothing is kept of challenges: another start of a switch writes another tag.
            status @ (401 | 407) => (status, Vec::new()),
            status => (status, tag.to_vec()),
        };
        let key = (to, branch.to_vec());
        let known = self.finals.entry(key).or_insert_with(|| fresh.clone());
        if *known == fresh {
            return Ok(());
        }
        Err(format!(
            "an INVITE was answered with {} and with {}",
            known.0, fresh.0
        ))
    }
}

/// A phone behind NAT gets only what is for itself.
fn right_address(agent: &Agent, message: &Message) -> Result<(), String> {
    let uri = String::from_utf8_lossy(message.uri());
    let ours = uri.contains(&agent.host) || agent.kind == Kind::Trunk;
    if ours {
        Ok(())
    } else {
        Err(format!("{} got a request for {uri}", agent.name))
    }
}
