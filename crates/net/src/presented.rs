//! What a socket shows in a TLS handshake, found out as a client would: by connecting to it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::tls::unbelieving_client;

/// Why nothing was shown.
#[derive(Debug, thiserror::Error)]
pub enum PresentedError {
    /// There is no such name to ask for.
    #[error("{0} is no name to ask for")]
    Name(String),
    /// The library refuses.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The connection or the handshake failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The handshake was done without a certificate.
    #[error("the handshake was done without a certificate")]
    Nothing,
}

/// The chain that is shown at an address to who asks for `name` (RFC 6066 §3), or for none. Blocks,
/// for at most `patience` at each step.
///
/// # Errors
/// There was no handshake, or no certificate in it.
pub fn presented(
    address: SocketAddr,
    name: Option<&str>,
    patience: Duration,
) -> Result<Vec<CertificateDer<'static>>, PresentedError> {
    let wanted = match name {
        Some(name) => ServerName::try_from(name.to_owned())
            .map_err(|_| PresentedError::Name(name.to_owned()))?,
        // An address is not sent as a name.
        None => ServerName::from(address.ip()),
    };
    let mut connection = ClientConnection::new(Arc::new(unbelieving_client()?), wanted)?;
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    let chain = connection.peer_certificates();
    let chain = chain.filter(|chain| !chain.is_empty());
    let chain = chain.ok_or(PresentedError::Nothing)?.to_vec();
    connection.send_close_notify();
    // What was wanted is here, whether the other side hears the end or not.
    let _ = connection.complete_io(&mut stream);
    Ok(chain)
}
