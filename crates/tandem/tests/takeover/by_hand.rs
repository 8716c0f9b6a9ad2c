//! Phones played by hand, behind a dispatcher.

use anyhow::Result;
use testkit::{Dialog, Message, Peer, session};

use crate::cluster::{Cluster, DOMAIN};

/// Calls as `who`; the INVITE as it was sent with credentials.
pub(crate) fn calls(
    cluster: &Cluster,
    who: &Peer,
    name: &str,
    called: &str,
    extra: &[&str],
) -> Result<String> {
    let uri = format!("sip:{called}@{DOMAIN}");
    let is = cluster.switches[0].ready().credentials(name);
    let from = format!("From: <sip:{name}@{DOMAIN}>;tag={name}-{called}");
    let offer = session(who.address());
    let first = who.request("INVITE", &uri, &[&[from.as_str()], extra].concat(), &offer);
    who.send(&first)?;
    let refusal = who.expect_status(407, "INVITE");
    who.send(who.ack(&first, &refusal))?;
    let invite = who.answer_challenge(&is, &first, &refusal, extra, &offer);
    who.send(&invite)?;
    Ok(invite)
}

/// Takes the next INVITE: its dialog.
pub(crate) fn takes(callee: &Peer, tag: &str) -> Result<Dialog> {
    let invited = callee.expect_request("INVITE");
    let answer = session(callee.address());
    callee.send(callee.response(&invited, "200 OK", tag, &[], &answer))?;
    callee.expect_request("ACK");
    Ok(Dialog::of_callee(&invited, tag))
}

/// The 2xx to its call: its dialog.
pub(crate) fn is_answered(caller: &Peer, invite: &str) -> Result<Dialog> {
    let answer = caller.expect_status(200, "INVITE");
    caller.send(caller.ack(invite, &answer))?;
    Ok(Dialog::of_caller(invite, &answer))
}

/// Agrees to whatever comes until BYE in this dialog.
pub(crate) fn lets_go(peer: &Peer, call_id: &str) -> Result<()> {
    loop {
        let request = peer.expect("a request", |m| m.status().is_none() && m.method() != "ACK");
        peer.send(peer.response(&request, "200 OK", "", &[], ""))?;
        if request.method() == "BYE" && request.header("Call-ID") == Some(call_id) {
            return Ok(());
        }
    }
}

/// The CANCEL of an INVITE (RFC 3261 §9.1).
pub(crate) fn cancel(invite: &str) -> String {
    let invite = Message::parse(invite).expect("we built this INVITE");
    let header = |name| invite.header(name).unwrap_or_default().to_owned();
    let number = header("CSeq").replace("INVITE", "CANCEL");
    format!(
        "{}\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number}\r\n\
         Content-Length: 0\r\n\r\n",
        invite.start.replacen("INVITE", "CANCEL", 1),
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
    )
}

/// Sends this again and again until the answer comes.
pub(crate) fn insists(
    peer: &Peer,
    what: &str,
    mut until: impl FnMut(&Message) -> bool,
) -> Result<()> {
    for _ in 0..TRIES_MAX {
        peer.send(what)?;
        if !peer.stays_silent(INTERVAL, &mut until) {
            return Ok(());
        }
    }
    panic!("nobody answered: {what}");
}

/// Between two repetitions: T1 of RFC 3261 §17.1.1.1.
const INTERVAL: std::time::Duration = std::time::Duration::from_millis(500);
const TRIES_MAX: u32 = 40;
