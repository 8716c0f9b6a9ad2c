//! JSON for each moment of an incident, signed so that who gets it knows that it is ours and new.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::{Incident, Moment};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use sha2::Sha256;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// What is posted.
pub(super) struct Call<'a> {
    pub(super) node: &'a str,
    pub(super) incident: &'a Incident,
    pub(super) moment: Moment,
}

/// Posts it. Anything but 2xx is a failure; whoever answers leads nowhere else.
pub(super) fn post(
    url: &str,
    call: &Call<'_>,
    secret: &str,
    authorities: &[CertificateDer<'_>],
) -> Result<(), String> {
    let at_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let body = call.body();
    let signature = sign(secret, at_s, &body)?;
    let roots = authorities
        .iter()
        .map(|one| Certificate::from_der(one).to_owned());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build();
    let sent = config
        .new_agent()
        .post(url)
        .header("content-type", "application/json")
        .header("x-tandem-timestamp", at_s.to_string())
        .header("x-tandem-signature", format!("v1={signature}"))
        .send(&body);
    let status = sent.map_err(|error| error.to_string())?.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("it answers {status}")),
    }
}

impl Call<'_> {
    fn body(&self) -> String {
        let Incident {
            id,
            rule,
            subject,
            text,
            begun_us,
            ended_us,
            ..
        } = self.incident;
        json!({
            "event": match self.moment {
                Moment::Begun => "alert.begun",
                Moment::Ended => "alert.ended",
            },
            "node": self.node,
            "id": id,
            "rule": rule,
            "subject": subject,
            "text": text,
            "begun_us": begun_us,
            "ended_us": ended_us,
        })
        .to_string()
    }
}

/// HMAC-SHA-256 of the time in seconds, a dot and the body, in hexadecimal digits.
fn sign(secret: &str, at_s: u64, body: &str) -> Result<String, String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let mut mac = mac.map_err(|error| error.to_string())?;
    mac.update(format!("{at_s}.{body}").as_bytes());
    let bytes = mac.finalize().into_bytes();
    Ok(bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// A server that does not answer for so long is given up.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::alerts::test_server::{TestServer, secured};

    /// A server that takes one request and answers with a status.
    fn server(status: &'static str) -> TestServer<()> {
        TestServer::start(move |stream, config| {
            let mut stream = secured(stream, config);
            let mut room = [0; 4_096];
            let mut heard = Vec::new();
            // Who does not believe us hangs up.
            while let Ok(size @ 1..) = stream.read(&mut room) {
                heard.extend_from_slice(&room[..size]);
                if heard.ends_with(b"}") {
                    let end =
                        "Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close";
                    let _ = write!(stream, "HTTP/1.1 {status}\r\n{end}\r\n\r\n");
                    let _ = stream.flush();
                }
            }
        })
    }

    /// What became of a call to a server; `believed`: whom we believe of it.
    fn posted(
        status: &'static str,
        believed: fn(CertificateDer<'static>) -> Vec<CertificateDer<'static>>,
    ) -> Result<(), String> {
        let server = server(status);
        let url = format!("https://localhost:{}/hook", server.port);
        let incident = Incident {
            id: 1,
            rule: "gateway-down".into(),
            subject: "one".into(),
            text: "gateway one is down".into(),
            begun_us: 1,
            ended_us: None,
            deliveries: Vec::new(),
        };
        let call = Call {
            node: "node-1",
            incident: &incident,
            moment: Moment::Begun,
        };
        post(&url, &call, "secret", &believed(server.certificate.clone()))
    }

    #[test]
    fn it_goes_over_tls_to_whom_an_authority_knows() {
        assert_eq!(posted("204 No Content", |it| vec![it]), Ok(()));
        let strange = posted("204 No Content", |_| Vec::new());
        assert!(strange.is_err(), "nobody knows it");
    }

    #[test]
    fn what_is_not_taken_is_said_and_nobody_leads_elsewhere() {
        let refused = posted("503 Service Unavailable", |it| vec![it]).expect_err("refused");
        assert!(refused.contains("503"), "{refused}");
        let led = posted("302 Found", |it| vec![it]).expect_err("led away");
        assert!(led.contains("302"), "{led}");
    }

    #[test]
    fn the_signature_is_what_openssl_makes_of_it() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac Jefe
        let expected = "d3793e2b4103edfbd98cc19591832f5fad701d413db9fcae0ae7dab8184ed207";
        assert_eq!(sign("Jefe", 1_700_000_000, "{}").as_deref(), Ok(expected));
    }
}
