//! The fuzz targets of this crate over their corpora, and over seeded mutations of these.

#[path = "../../../fuzz/src/digest.rs"]
mod digest;
#[path = "../../../fuzz/src/framing.rs"]
mod framing;
#[path = "../../../fuzz/src/message.rs"]
mod message;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/transactions.rs"]
mod transactions;
#[path = "../../../fuzz/src/uri.rs"]
mod uri;

use replay::replay;

const TORTURE: [&str; 2] = [
    "crates/sip/tests/torture/rfc4475",
    "crates/sip/tests/torture/rfc5118",
];

#[test]
fn message() {
    replay(
        &[TORTURE[0], TORTURE[1], "fuzz/corpus/message"],
        200_000,
        message::run,
    );
}

#[test]
fn framing() {
    replay(&[TORTURE[0], "fuzz/corpus/framing"], 50_000, framing::run);
}

#[test]
fn uri() {
    replay(&["fuzz/corpus/uri"], 200_000, uri::run);
}

#[test]
fn digest() {
    replay(&["fuzz/corpus/digest"], 100_000, digest::run);
}

#[test]
fn transactions() {
    replay(&["fuzz/corpus/transactions"], 50_000, transactions::run);
}
