//! The torture messages of RFC 4475 and RFC 5118, all of them, each with the answer its section
//! asks for.
//!
//! Where a section leaves a choice, the table below says which one was made. Some answers are
//! decided above this crate, by whoever knows methods, extensions and content types: [`ABOVE`]
//! lists them, and here it is shown that such a message arrives there whole.

#[path = "torture/rfc4475.rs"]
mod rfc4475;
#[path = "torture/rfc5118.rs"]
mod rfc5118;

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use sip::{Framing, Message, Method};

/// What becomes of a datagram before anybody looks at its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is taken for a good message.
    Taken,
    /// It is a request, and this is the status of its answer.
    Refused(u16),
    /// It is no request, or too broken to be answered.
    Dropped,
}
use Fate::{Dropped, Refused, Taken};

/// RFC 4475 in the order of its sections.
const RFC_4475: &[(&str, Fate)] = &[
    ("wsinv", Taken),
    ("intmeth", Taken),
    ("esc01", Taken),
    ("escnull", Taken),
    ("esc02", Taken),
    ("lwsdisp", Taken),
    ("longreq", Taken),
    ("dblreq", Taken),
    ("semiuri", Taken),
    ("transports", Taken),
    ("mpart01", Taken),
    ("unreason", Taken),
    ("noreason", Taken),
    ("badinv01", Refused(400)),
    ("clerr", Refused(400)),
    ("ncl", Refused(400)),
    ("scalar02", Refused(400)),
    ("scalarlg", Dropped),
    ("quotbal", Refused(400)),
    ("ltgtruri", Refused(400)),
    ("lwsruri", Refused(400)),
    ("lwsstart", Refused(400)),
    // A choice: the white space at the end of the line is passed over.
    ("trws", Taken),
    // A choice: ignoring headers in the request URI would be allowed too.
    ("escruri", Refused(400)),
    // A choice: nothing here needs the Date, so it is passed over.
    ("baddate", Taken),
    ("regbadct", Refused(400)),
    // A choice: the white space around the URI is passed over.
    ("badaspec", Taken),
    ("baddn", Refused(400)),
    ("badvers", Refused(505)),
    ("mismatch01", Refused(400)),
    // A choice: 501 would be allowed too.
    ("mismatch02", Refused(400)),
    ("bigcode", Dropped),
    // A choice: it is matched as RFC 2543 has it; 400 would be allowed too.
    ("badbranch", Taken),
    ("insuf", Refused(400)),
    ("unkscm", Refused(416)),
    ("novelsc", Refused(416)),
    ("unksm2", Taken),
    ("bext01", Taken),
    ("invut", Taken),
    ("regaut01", Taken),
    ("multi01", Refused(400)),
    ("mcl01", Refused(400)),
    ("bcast", Taken),
    ("zeromf", Taken),
    ("cparam01", Taken),
    ("cparam02", Taken),
    ("regescrt", Taken),
    ("sdp01", Taken),
    ("inv2543", Taken),
];

/// RFC 5118 in the order of its sections.
const RFC_5118: &[(&str, Fate)] = &[
    ("ipv6-good", Taken),
    ("ipv6-bad", Refused(400)),
    // Its port cannot be told from its address, so the address is taken as a whole.
    ("port-ambiguous", Taken),
    ("port-unambiguous", Taken),
    ("via-received-param-with-delim", Taken),
    ("via-received-param-no-delim", Taken),
    ("ipv6-in-sdp", Taken),
    ("mult-ip-in-header", Taken),
    ("mult-ip-in-sdp", Taken),
    ("ipv4-mapped-ipv6", Taken),
    ("ipv6-bug-abnf-3-colons", Refused(400)),
    ("ipv6-correct-abnf-2-colons", Taken),
];

/// What the users of this crate answer, and why they and not this crate.
const ABOVE: &[(&str, u16, &str)] = &[
    (
        "intmeth",
        501,
        "which methods are known is for the user agent to say",
    ),
    ("esc02", 501, "an escaped method name is another method"),
    (
        "unksm2",
        404,
        "whether a To URI names somebody is for the registrar to say",
    ),
    (
        "bext01",
        420,
        "which extensions are supported is for the user agent to say",
    ),
    (
        "invut",
        415,
        "which content types are understood is for the user agent to say",
    ),
    ("regaut01", 401, "unknown credentials are as good as none"),
    (
        "sdp01",
        406,
        "which content types can be sent is for the user agent to say",
    ),
];

fn load(suite: &str, name: &str) -> Bytes {
    let path = folder(suite).join(name).with_extension("dat");
    let read = std::fs::read(&path);
    Bytes::from(read.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn folder(suite: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/torture", suite]
        .iter()
        .collect()
}

/// A message that is taken.
fn taken(suite: &str, name: &str) -> Message {
    let message = Message::parse(load(suite, name), Framing::Datagram).expect(name);
    message.check().expect(name);
    message
}

fn fate(raw: Bytes) -> Fate {
    match Message::parse(raw, Framing::Datagram) {
        Ok(message) => match message.check() {
            Ok(()) => Taken,
            Err(violation) => refusal(&message, violation.status()),
        },
        Err(malformed) => match malformed.partial {
            Some(partial) => refusal(&partial, malformed.error.status()),
            None => Dropped,
        },
    }
}

/// A refusal needs a Via to go back by, and nobody refuses a response or an ACK.
fn refusal(message: &Message, status: u16) -> Fate {
    let answerable =
        message.is_request() && message.method() != Method::Ack && message.via().is_ok();
    if answerable { Refused(status) } else { Dropped }
}

#[test]
fn every_message_meets_its_fate() {
    for (suite, table) in [("rfc4475", RFC_4475), ("rfc5118", RFC_5118)] {
        for (name, expected) in table {
            assert_eq!(fate(load(suite, name)), *expected, "{suite} {name}");
        }
    }
}

#[test]
fn no_message_is_left_out() {
    for (suite, table, count) in [("rfc4475", RFC_4475, 49), ("rfc5118", RFC_5118, 12)] {
        let files: BTreeSet<_> = std::fs::read_dir(folder(suite))
            .expect("the suite is there")
            .map(|entry| entry.expect("it can be listed").path())
            .map(|path| {
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let listed: BTreeSet<_> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, listed);
        assert_eq!(table.len(), count);
    }
}

#[test]
fn what_is_answered_above_arrives_there() {
    for (name, status, why) in ABOVE {
        let expected = RFC_4475
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, fate)| *fate);
        assert_eq!(expected, Some(Taken), "{name}: {status}, because {why}");
        assert!(taken("rfc4475", name).is_request());
    }
}
