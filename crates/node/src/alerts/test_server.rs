//! A server of the tests whose certificate nobody knows but who is given it.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// One connection will be served.
pub(super) struct TestServer<T> {
    pub(super) port: u16,
    /// Of `localhost`.
    pub(super) certificate: CertificateDer<'static>,
    serving: JoinHandle<T>,
}

/// A connection over TLS.
pub(super) type Secured = StreamOwned<ServerConnection, TcpStream>;

impl<T: Send + 'static> TestServer<T> {
    /// Serves a connection in a thread of its own.
    pub(super) fn start(
        serve: impl FnOnce(TcpStream, Arc<ServerConfig>) -> T + Send + 'static,
    ) -> Self {
        let made = generate_simple_self_signed(["localhost".to_owned()]);
        let CertifiedKey { cert, signing_key } = made.expect("a certificate");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                let config = config.with_no_client_auth();
                config.with_single_cert(vec![cert.der().clone()], key)
            })
            .expect("a configuration");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let serving = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            serve(stream, Arc::new(config))
        });
        Self {
            port,
            certificate: cert.der().clone(),
            serving,
        }
    }

    /// What serving has come to.
    pub(super) fn join(self) -> T {
        self.serving.join().expect("a server")
    }
}

/// The server's end of TLS.
pub(super) fn secured(stream: TcpStream, config: Arc<ServerConfig>) -> Secured {
    let connection = ServerConnection::new(config).expect("TLS");
    StreamOwned::new(connection, stream)
}

/// Answers lines of a mail program until it hangs up or says `until`; its lines, and what is left of
/// the stream. `offer` is what EHLO is answered with.
pub(super) fn mail<S: Read + Write>(stream: S, offer: &str, until: &str) -> (Vec<String>, S) {
    let mut stream = BufReader::new(stream);
    let mut said = Vec::new();
    let mut is_text = false;
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line), Ok(1..)) {
            break;
        }
        let line = line.trim_end().to_owned();
        let answer = match line.split(' ').next().unwrap_or_default() {
            "." => {
                is_text = false;
                "250 taken"
            }
            _ if is_text => "",
            "EHLO" => offer,
            "STARTTLS" => "220 go on",
            "AUTH" => "235 welcome",
            "DATA" => {
                is_text = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 OK",
        };
        if !answer.is_empty() {
            let out = stream.get_mut();
            let _ = out.write_all(format!("{answer}\r\n").as_bytes());
            let _ = out.flush();
        }
        let is_over = line == until;
        said.push(line);
        if is_over {
            break;
        }
    }
    (said, stream.into_inner())
}
