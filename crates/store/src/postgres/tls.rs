//! TLS to a PostgreSQL server, by the names that libpq has for it: `sslmode=verify-full`, with
//! `sslrootcert=FILE` where the server's certificate is not signed by an authority that this machine
//! trusts.
//!
//! `sslmode=require` and `verify-ca` are refused: they encrypt, but not for the right server.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

use crate::{StoreError, tls};

/// What a URL says of its server, and how to speak TLS to it if that is wanted.
pub(super) fn parse(url: &str) -> Result<(tokio_postgres::Config, Option<Tls>), StoreError> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut others) = (None, None, Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => roots = Some(value.replace("%2F", "/")),
            _ => others.push(parameter),
        }
    }
    let url = match others.is_empty() {
        true => place.to_owned(),
        false => format!("{place}?{}", others.join("&")),
    };
    let parsed = url.parse();
    let mut config: tokio_postgres::Config =
        parsed.map_err(|error| StoreError::Misconfigured(super::explain(&error)))?;
    match mode {
        None | Some("disable" | "allow" | "prefer") => {
            config.ssl_mode(SslMode::Disable);
            Ok((config, None))
        }
        Some("verify-full") => {
            config.ssl_mode(SslMode::Require);
            let roots = roots.as_deref().filter(|roots| *roots != "system");
            let config_of_tls = tls::client_config(roots.map(std::path::Path::new))?;
            Ok((config, Some(Tls(Arc::new(config_of_tls)))))
        }
        Some(other) => Err(StoreError::Misconfigured(format!(
            "sslmode={other} does not check who the server is; verify-full does"
        ))),
    }
}

/// Begins TLS with a server.
#[derive(Clone, Debug)]
pub(super) struct Tls(Arc<ClientConfig>);

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Handshake> {
        let name = ServerName::try_from(domain.to_owned()).map_err(io::Error::other)?;
        Ok(Handshake {
            connector: TlsConnector::from(Arc::clone(&self.0)),
            name,
        })
    }
}

/// One handshake to come.
pub(super) struct Handshake {
    connector: TlsConnector,
    /// What the certificate must be for.
    name: ServerName<'static>,
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(self.name, stream).await?;
            Ok(Stream(stream))
        })
    }
}

/// A connection in TLS.
pub(super) struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        // The certificate was verified; passwords are not bound to it besides.
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mode_that_knows_the_server_speaks_tls() {
        for plain in ["", "?sslmode=disable", "?application_name=x&sslmode=prefer"] {
            let (config, tls) = parse(&format!("postgres://u@h/d{plain}")).unwrap();
            assert_eq!(config.get_ssl_mode(), SslMode::Disable);
            assert!(tls.is_none(), "{plain}");
        }
        for half in ["require", "verify-ca", "nonsense"] {
            let refused = parse(&format!("postgres://u@h/d?sslmode={half}"));
            assert!(
                matches!(refused, Err(StoreError::Misconfigured(_))),
                "{half}"
            );
        }
        let missing = parse("postgres://u@h/d?sslmode=verify-full&sslrootcert=/nowhere.pem");
        assert!(matches!(missing, Err(StoreError::Misconfigured(_))));
    }
}
