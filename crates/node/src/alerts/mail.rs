//! A mail for each moment of an incident, handed to a mail server: plain, by STARTTLS (RFC 3207) or
//! by TLS from the first byte (RFC 8314), with a password where the way is encrypted.

use std::time::Duration;

use control::{Incident, Moment};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport as _};
use model::{AlertEmail, MailSecurity};
use rustls::pki_types::CertificateDer;

/// What is written.
pub(super) struct Letter<'a> {
    pub(super) node: &'a str,
    pub(super) incident: &'a Incident,
    pub(super) moment: Moment,
}

/// Hands a mail to the server, if there is one. Which authorities are believed is asked for where
/// the way is encrypted.
pub(super) fn send(
    email: &AlertEmail,
    letter: &Letter<'_>,
    credentials: Option<(String, String)>,
    authorities: impl FnOnce() -> Result<Vec<CertificateDer<'static>>, String>,
) -> Result<(), String> {
    let Some(server) = &email.server else {
        return Ok(());
    };
    let parts = server
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| format!("{server} is no host:port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let tls = match email.security {
        MailSecurity::None => Tls::None,
        MailSecurity::Starttls => Tls::Required(secured(host, authorities()?)?),
        MailSecurity::Tls => Tls::Wrapper(secured(host, authorities()?)?),
    };
    let message = letter.message(email)?;
    let mut transport = SmtpTransport::builder_dangerous(host)
        .port(port)
        .tls(tls)
        .hello_name(ClientId::Domain(host_of(email).to_owned()))
        .timeout(Some(PATIENCE));
    if let Some((name, password)) = credentials {
        if email.security == MailSecurity::None {
            return Err("a password is not sent over a way that is not encrypted".to_owned());
        }
        transport = transport.credentials(Credentials::new(name, password));
    }
    let sent = transport.build().send(&message);
    sent.map(drop).map_err(|error| format!("{server}: {error}"))
}

fn secured(host: &str, authorities: Vec<CertificateDer<'static>>) -> Result<TlsParameters, String> {
    let mut tls = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
    for authority in authorities {
        let authority = Certificate::from_der(authority.to_vec());
        tls = tls.add_root_certificate(authority.map_err(|error| error.to_string())?);
    }
    tls.build_rustls().map_err(|error| error.to_string())
}

impl Letter<'_> {
    fn message(&self, email: &AlertEmail) -> Result<Message, String> {
        let Incident { id, begun_us, .. } = self.incident;
        let moment = match self.moment {
            Moment::Begun => "begun",
            Moment::Ended => "ended",
        };
        let mailbox = |text: &str| {
            let parsed = text.parse::<Mailbox>();
            parsed.map_err(|error| format!("{text}: {error}"))
        };
        // The same mail again has the same identifier: readers show one.
        let identifier = format!("<tandem.{id}.{begun_us}.{moment}@{}>", host_of(email));
        let mut message = Message::builder()
            .from(mailbox(&email.from)?)
            .subject(self.subject())
            .message_id(Some(identifier))
            .header(ContentType::TEXT_PLAIN);
        for to in &email.to {
            message = message.to(mailbox(to)?);
        }
        let message = message.body(self.body());
        message.map_err(|error| error.to_string())
    }

    /// One line of printable letters: gateways have part in the text.
    fn subject(&self) -> String {
        let (node, text) = (self.node, &self.incident.text);
        let subject = match self.moment {
            Moment::Begun => format!("[{node}] {text}"),
            Moment::Ended => format!("[{node}] Over: {text}"),
        };
        let printable = subject
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c });
        printable.take(SUBJECT_MAX).collect()
    }

    fn body(&self) -> String {
        let Incident {
            id,
            text,
            begun_us,
            ended_us,
            ..
        } = self.incident;
        let begin = match self.moment {
            Moment::Begun => text.clone(),
            Moment::Ended => {
                let lasted_us = ended_us.unwrap_or(*begun_us).saturating_sub(*begun_us);
                format!("It is over after {} s: {text}", lasted_us / 1_000_000)
            }
        };
        let node = self.node;
        format!("{begin}\r\n\r\nIt was noticed by {node}, incident {id}.\r\n")
    }
}

/// The domain of who writes.
fn host_of(email: &AlertEmail) -> &str {
    email.from.rsplit_once('@').map_or("", |(_, host)| host)
}

/// A server that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Characters of a subject; the body has all.
const SUBJECT_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::alerts::test_server::{TestServer, mail, secured};

    fn incident(text: &str) -> Incident {
        Incident {
            id: 7,
            rule: "gateway-down".into(),
            subject: "one".into(),
            text: text.into(),
            begun_us: 1_700_000_000_000_000,
            ended_us: Some(1_700_000_090_000_000),
            deliveries: Vec::new(),
        }
    }

    fn email(server: String, security: MailSecurity) -> AlertEmail {
        AlertEmail {
            server: Some(server),
            security,
            from: "tandem@example.com".into(),
            to: vec!["night@example.com".into(), "day@example.com".into()],
        }
    }

    fn written(text: &str, moment: Moment) -> String {
        let email = email("mail.example.com:587".into(), MailSecurity::Starttls);
        let letter = Letter {
            node: "node-1",
            incident: &incident(text),
            moment,
        };
        let message = letter.message(&email).expect("a mail");
        String::from_utf8(message.formatted()).expect("text")
    }

    /// Sends a mail with a password to a server whose certificate is believed.
    fn sent<T: Send + 'static>(
        server: &TestServer<T>,
        security: MailSecurity,
    ) -> Result<(), String> {
        let letter = Letter {
            node: "node-1",
            incident: &incident("gateway one is down"),
            moment: Moment::Begun,
        };
        let email = email(format!("localhost:{}", server.port), security);
        let credentials = Some(("tandem".to_owned(), "s3cret".to_owned()));
        send(&email, &letter, credentials, || {
            Ok(vec![server.certificate.clone()])
        })
    }

    /// The password stands in the lines, as RFC 4616 writes it, and both people got the mail.
    fn check(said: &[String]) {
        let has = |line: &str| said.iter().any(|one| one == line);
        assert!(has("AUTH PLAIN AHRhbmRlbQBzM2NyZXQ="), "{said:?}");
        assert!(has("RCPT TO:<night@example.com>") && has("RCPT TO:<day@example.com>"));
        assert!(has("gateway one is down"), "{said:?}");
    }

    const OFFER: &str = "250-mail\r\n250 AUTH PLAIN LOGIN";

    #[test]
    fn a_password_goes_over_tls() {
        let server = TestServer::start(|stream, config| {
            let mut stream = secured(stream, config);
            let _ = stream.write_all(b"220 mail\r\n");
            mail(stream, OFFER, "QUIT").0
        });
        assert_eq!(sent(&server, MailSecurity::Tls), Ok(()));
        check(&server.join());
    }

    #[test]
    fn a_password_goes_over_tls_that_is_begun_later() {
        let server = TestServer::start(|mut stream, config| {
            let _ = stream.write_all(b"220 mail\r\n");
            let (before, stream) = mail(stream, "250-mail\r\n250 STARTTLS", "STARTTLS");
            assert_eq!(before.last().map(String::as_str), Some("STARTTLS"));
            assert_eq!(before.len(), 2, "{before:?}");
            mail(secured(stream, config), OFFER, "QUIT").0
        });
        assert_eq!(sent(&server, MailSecurity::Starttls), Ok(()));
        check(&server.join());
    }

    #[test]
    fn a_server_that_offers_no_tls_gets_nothing() {
        let server = TestServer::start(|mut stream, _| {
            let _ = stream.write_all(b"220 mail\r\n");
            mail(stream, OFFER, "QUIT").0
        });
        assert!(sent(&server, MailSecurity::Starttls).is_err());
        let said = server.join();
        assert!(
            said.iter()
                .all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")),
            "{said:?}"
        );
    }

    #[test]
    fn a_password_is_not_sent_in_the_clear() {
        let server = TestServer::start(|_, _| ());
        let refused = sent(&server, MailSecurity::None).expect_err("refused");
        assert!(refused.contains("not encrypted"), "{refused}");
    }

    #[test]
    fn a_mail_says_what_is_wrong_and_to_whom() {
        let mail = written("gateway one is down", Moment::Ended);
        assert!(mail.contains("From: tandem@example.com\r\n"), "{mail}");
        assert!(
            mail.contains("To: night@example.com, day@example.com\r\n"),
            "{mail}"
        );
        assert!(
            mail.contains("Subject: [node-1] Over: gateway one is down\r\n"),
            "{mail}"
        );
        assert!(
            mail.contains("It is over after 90 s: gateway one is down\r\n"),
            "{mail}"
        );
        assert!(
            mail.contains("<tandem.7.1700000000000000.ended@example.com>"),
            "{mail}"
        );
    }

    #[test]
    fn what_a_gateway_says_becomes_no_header() {
        for text in [
            "down: x\r\nBcc: b@c",
            "Zürich: \n.\r\nBcc: b@c → ein langer Name",
        ] {
            let mail = written(text, Moment::Begun);
            let (headers, _) = mail.split_once("\r\n\r\n").expect("headers");
            assert!(!headers.contains("\r\nBcc:"), "{mail}");
            assert!(headers.lines().all(|line| line.len() < 200), "{mail}");
        }
    }
}
