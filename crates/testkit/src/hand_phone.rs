//! A phone played by hand: it proves who it is, registers, and lets itself be verified.

use std::net::SocketAddr;

use anyhow::Result;

use crate::digest::{Credentials, authorization};
use crate::message::Message;
use crate::peer::{Peer, session};
use crate::platform::{Platform, Ready};
use crate::request;
use crate::wait::wait_for;

impl Ready {
    /// What a user of the first start proves itself with.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    #[track_caller]
    pub fn credentials(&self, name: &str) -> Credentials {
        Credentials {
            username: name.to_owned(),
            password: self.user(name).password.clone(),
        }
    }
}

impl Peer {
    /// Sends a request, answers the challenge to it, and hands over the request as it was
    /// sent the second time, whose answer is still to come. `extra` must not name Call-ID,
    /// CSeq or From.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If no challenge comes.
    #[track_caller]
    pub fn send_with_digest(
        &self,
        who: &Credentials,
        method: &str,
        uri: &str,
        extra: &[&str],
        body: &str,
    ) -> Result<String> {
        let first = self.request(method, uri, extra, body);
        self.send(&first)?;
        let refusal = self.expect("a challenge", |m| matches!(m.status(), Some(401 | 407)));
        if method == "INVITE" {
            self.send(self.ack(&first, &refusal))?;
        }
        let again = self.answer_challenge(who, &first, &refusal, extra, body);
        self.send(&again)?;
        Ok(again)
    }

    /// The same request once more, with credentials for the challenge of `refusal`.
    ///
    /// # Panics
    /// If `first` is none of our requests, or `refusal` holds no challenge.
    #[must_use]
    pub fn answer_challenge(
        &self,
        who: &Credentials,
        first: &str,
        refusal: &Message,
        extra: &[&str],
        body: &str,
    ) -> String {
        answer_challenge("UDP", self.address(), who, first, refusal, extra, body)
    }

    /// Registers as this user; `extra` may hold Contact, Expires and what else there is.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If the platform does not challenge, or gives no final answer.
    #[track_caller]
    pub fn register(&self, ready: &Ready, name: &str, extra: &[&str]) -> Result<Message> {
        self.register_as(ready, &ready.credentials(name), extra)
    }

    #[track_caller]
    fn register_as(&self, ready: &Ready, who: &Credentials, extra: &[&str]) -> Result<Message> {
        let to = format!("To: <sip:{}@{}>", who.username, ready.domain);
        let mut lines = vec![to.as_str()];
        lines.extend(extra);
        let uri = format!("sip:{}", ready.domain);
        self.send_with_digest(who, "REGISTER", &uri, &lines, "")?;
        let is_final = |m: &Message| m.status().is_some_and(|s| s >= 200);
        Ok(self.expect("the answer to REGISTER", is_final))
    }

    /// Registers as this user and answers the OPTIONS that verify the contact, until calls
    /// go to it.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If the registration is refused or does not become routable.
    #[track_caller]
    pub fn register_routable(&self, platform: &Platform, name: &str) -> Result<()> {
        self.register_with(platform, &platform.ready().credentials(name))
    }

    /// As [`Peer::register_routable`], for a user that a test has made.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If the registration is refused or does not become routable.
    #[track_caller]
    pub fn register_with(&self, platform: &Platform, who: &Credentials) -> Result<()> {
        let answer = self.register_as(platform.ready(), who, &["Expires: 600"])?;
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        self.answer_options()?;
        let received = self.address().to_string();
        wait_for("a routable registration", || {
            let all = platform.rest().list("/v1/registrations").ok()?;
            let ours = all.iter().find(|r| {
                r["received"]
                    .as_str()
                    .is_some_and(|text| text.ends_with(&received))
            })?;
            (ours["routable"] == true).then_some(())
        });
        Ok(())
    }

    /// Waits for OPTIONS and answers it.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn answer_options(&self) -> Result<Message> {
        let options = self.expect_request("OPTIONS");
        self.send(self.response(&options, "200 OK", "peer", &[], ""))?;
        Ok(options)
    }

    /// Calls a number with an offer, without proving anything.
    ///
    /// # Errors
    /// If the socket refuses.
    pub fn invite(&self, number: &str) -> Result<String> {
        let offer = session(self.address());
        let invite = self.request("INVITE", &format!("sip:{number}@127.0.0.1"), &[], &offer);
        self.send(&invite)?;
        Ok(invite)
    }

    /// Refuses the call that comes next, and hands over its INVITE.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn refuse(&self, status: &str) -> Result<Message> {
        let invited = self.expect_request("INVITE");
        self.send(self.response(&invited, status, "r", &[], ""))?;
        self.expect_request("ACK");
        Ok(invited)
    }

    /// Waits for the refusal of our call and acknowledges it.
    ///
    /// # Errors
    /// If the socket refuses.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn refused(&self, invite: &str) -> Result<Message> {
        let is_refusal =
            |m: &Message| m.method() == "INVITE" && m.status().is_some_and(|s| s >= 300);
        let answer = self.expect("a refusal", is_refusal);
        self.send(self.ack(invite, &answer))?;
        Ok(answer)
    }
}

/// A request once more, with credentials for the challenge of `refusal`.
pub(crate) fn answer_challenge(
    transport: &str,
    local: SocketAddr,
    who: &Credentials,
    first: &str,
    refusal: &Message,
    extra: &[&str],
    body: &str,
) -> String {
    let first = Message::parse(first).expect("we built this request");
    let mut words = first.start.split(' ');
    let (method, uri) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (asked, name) = match refusal.status() {
        Some(407) => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => ("WWW-Authenticate", "Authorization"),
    };
    let mut challenges = refusal.all(asked);
    let md5 = challenges.find(|c| c.contains("algorithm=MD5"));
    let challenge = md5.expect("there is a challenge for MD5");
    let sequence: u32 = first
        .header("CSeq")
        .and_then(|c| c.split(' ').next()?.parse().ok())
        .unwrap_or(1);
    let mut lines = vec![
        format!("CSeq: {} {method}", sequence + 1),
        format!("{name}: {}", authorization(who, challenge, method, uri)),
    ];
    for name in ["From", "Call-ID"] {
        lines.push(format!(
            "{name}: {}",
            first.header(name).unwrap_or_default()
        ));
    }
    let mut all: Vec<&str> = extra.to_vec();
    all.extend(lines.iter().map(String::as_str));
    request::outside_dialog(transport, local, method, uri, &all, body)
}
