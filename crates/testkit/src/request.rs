//! The text of requests and responses that peers written by hand send.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::dialog::route_set;
use crate::message::Message;

/// A request outside of any dialog with its mandatory headers; `extra` are whole header lines
/// without line ends, and stand in place of the mandatory ones of the same name.
pub(crate) fn outside_dialog(
    transport: &str,
    local: SocketAddr,
    method: &str,
    uri: &str,
    extra: &[&str],
    body: &str,
) -> String {
    let number = next_number();
    let has = |name: &str| {
        let name = name.to_ascii_lowercase();
        extra
            .iter()
            .any(|line| line.to_ascii_lowercase().starts_with(&name))
    };
    let mut lines = vec![format!("{method} {uri} SIP/2.0")];
    let defaults = [
        (
            "Via:",
            format!("Via: SIP/2.0/{transport} {local};branch=z9hG4bK-peer-{number};rport"),
        ),
        ("Max-Forwards:", "Max-Forwards: 70".to_owned()),
        (
            "From:",
            format!("From: <sip:peer@{local}>;tag=peer-{number}"),
        ),
        ("To:", format!("To: <{uri}>")),
        (
            "Call-ID:",
            format!("Call-ID: peer-{number}-{}@{local}", std::process::id()),
        ),
        ("CSeq:", format!("CSeq: 1 {method}")),
        ("Contact:", contact(transport, local)),
    ];
    lines.extend(
        defaults
            .into_iter()
            .filter(|(name, _)| !has(name))
            .map(|(_, line)| line),
    );
    finish(lines, extra, body)
}

/// A response to `request`, with the headers RFC 3261 §8.2.6.2 has copied and this line for Contact;
/// `to_tag` is added where To has none.
pub(crate) fn response(
    request: &Message,
    status: &str,
    to_tag: &str,
    contact: String,
    extra: &[&str],
    body: &str,
) -> String {
    let mut lines = vec![format!("SIP/2.0 {status}")];
    lines.extend(request.all("Via").map(|via| format!("Via: {via}")));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let mut line = format!("{name}: {}", request.header(name).unwrap_or_default());
        if name == "To" && request.to_tag().is_empty() && !to_tag.is_empty() {
            line.push_str(";tag=");
            line.push_str(to_tag);
        }
        lines.push(line);
    }
    let routes = request.all("Record-Route");
    lines.extend(routes.map(|route| format!("Record-Route: {route}")));
    lines.push(contact);
    finish(lines, extra, body)
}

/// The ACK of a response to an INVITE (RFC 3261 §13.2.2.4 for 2xx, §17.1.1.3 else).
pub(crate) fn ack(transport: &str, local: SocketAddr, invite: &str, response: &Message) -> String {
    let invite = Message::parse(invite).expect("we built this INVITE");
    let success = response.status().is_some_and(|status| status < 300);
    let request_uri = invite.start.split(' ').nth(1).unwrap_or_default();
    let uri = if success {
        response.contact_uri()
    } else {
        request_uri
    };
    let number = next_number();
    let via = if success {
        format!("SIP/2.0/{transport} {local};branch=z9hG4bK-peer-{number};rport")
    } else {
        invite.header("Via").unwrap_or_default().to_owned()
    };
    let cseq = invite
        .header("CSeq")
        .unwrap_or_default()
        .replace("INVITE", "ACK");
    let mut lines = vec![
        format!("ACK {uri} SIP/2.0"),
        format!("Via: {via}"),
        "Max-Forwards: 70".to_owned(),
        format!("From: {}", invite.header("From").unwrap_or_default()),
        format!("To: {}", response.header("To").unwrap_or_default()),
        format!("Call-ID: {}", invite.header("Call-ID").unwrap_or_default()),
        format!("CSeq: {cseq}"),
    ];
    if success {
        let routes = route_set(response).into_iter().rev();
        lines.extend(routes.map(|route| format!("Route: {route}")));
    }
    finish(lines, &[], "")
}

/// The lines with their ends, and the body.
pub(crate) fn finish(mut lines: Vec<String>, extra: &[&str], body: &str) -> String {
    lines.extend(extra.iter().map(|&line| line.to_owned()));
    let typed = extra.iter().any(|line| line.starts_with("Content-Type:"));
    if !body.is_empty() && !typed {
        lines.push("Content-Type: application/sdp".to_owned());
    }
    lines.push(format!("Content-Length: {}", body.len()));
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

/// A number no other request of this process has.
pub(crate) fn next_number() -> u32 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The Contact line of who is there.
pub(crate) fn contact(transport: &str, local: SocketAddr) -> String {
    match transport {
        "UDP" => format!("Contact: <sip:peer@{local}>"),
        _ => format!(
            "Contact: <sip:peer@{local};transport={}>",
            transport.to_ascii_lowercase()
        ),
    }
}

static NEXT: AtomicU32 = AtomicU32::new(1);
