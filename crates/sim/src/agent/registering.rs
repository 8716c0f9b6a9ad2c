//! Registering, and answering challenges.

use sip::digest::{Session as Digest, ha1};
use sip::{Message, Writer};

use super::midcall::Errand;
use super::{Agent, Step, What};
use crate::platform::{DOMAIN, PASSWORD};

impl Agent {
    pub(super) fn register(&mut self, step: &mut Step<'_>) {
        if step.ledger.is_closing {
            return;
        }
        let again = step.dice.millis(15_000, 25_000);
        step.later(again, self.life, What::Register);
        self.send_register(step, 0);
    }

    fn send_register(&mut self, step: &mut Step<'_>, challenges: u8) {
        self.register_seq += 1;
        let (name, user, life) = (self.name, self.user, self.life);
        let seq = self.register_seq;
        let uri = format!("sip:{DOMAIN}");
        let mut w = Writer::request("REGISTER", uri.as_bytes());
        w.header_fmt(
            "From",
            format_args!("<sip:{user}@{DOMAIN}>;tag=r{life}x{seq}"),
        );
        w.header_fmt("To", format_args!("<sip:{user}@{DOMAIN}>"));
        w.header_fmt("Call-ID", format_args!("register-{name}-{life}"));
        w.header_fmt("CSeq", format_args!("{seq} REGISTER"));
        w.header("Max-Forwards", b"70").header("Expires", b"60");
        w.header("Contact", self.contact().as_bytes());
        self.authorize(&mut w, b"REGISTER", &uri);
        let bytes = w.finish();
        self.send(step.now, &bytes, Errand::Register { challenges });
    }

    pub(super) fn handle_registered(
        &mut self,
        step: &mut Step<'_>,
        challenges: u8,
        response: &Message,
    ) {
        match response.status() {
            401 | 407 if challenges < 3 && self.learn_challenge(response) => {
                self.send_register(step, challenges + 1);
            }
            200 | 503 => {}
            _ if step.ledger.is_closing => {}
            // The binding may be younger in the switch than this request: it came late.
            400 | 500 => {}
            status => step
                .ledger
                .violation(format!("{} may not register: {status}", self.name)),
        }
    }

    /// Takes a challenge; false if it cannot be answered.
    pub(super) fn learn_challenge(&mut self, response: &Message) -> bool {
        self.digest = Digest::new(response).ok();
        self.digest.is_some()
    }

    /// Writes credentials, if it was challenged before.
    pub(super) fn authorize(&mut self, w: &mut Writer, method: &[u8], uri: &str) {
        let Some(digest) = &mut self.digest else {
            return;
        };
        let name = self.user.as_bytes();
        let ha1 = ha1(
            digest.algorithm(),
            name,
            digest.realm(),
            PASSWORD.as_bytes(),
        );
        let value = digest.authorize(method, uri.as_bytes(), name, &ha1, b"cnonce");
        w.header(digest.header_name(), &value);
    }
}
