//! A line as a node opens it.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::proto::link_client::LinkClient;
use crate::token::Fingerprint;
use crate::{DOWN_MAX_BYTES, Identity, LinkError, UP_MAX_BYTES, reason, tls};

/// Who opens a line.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// A node.
    Node(&'a Identity),
    /// A machine with a token, which names this authority.
    Joining(Fingerprint),
}

/// Opens a line to control at `host:port`. A line that is silent for ten seconds is over. Errors:
/// `Unreachable`, `Refused`, `Misconfigured`.
pub async fn dial(control: &str, caller: Caller<'_>) -> Result<LinkClient<Channel>, LinkError> {
    let config = Arc::new(match caller {
        Caller::Node(identity) => tls::node(identity)?,
        Caller::Joining(authority) => tls::joining(authority)?,
    });
    let stream = connect(control, config).await?;
    let stream = heard(control, stream).await?;
    // One line, opened already: what would open another says that it is over.
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_: Uri| {
        let stream = stream.take();
        async move { stream.ok_or_else(|| std::io::Error::other("the line is over")) }
    });
    let channel = Endpoint::from_static(ORIGIN)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .connect_with_connector(connector)
        .await
        .map_err(|error| LinkError::Refused(format!("{control}: {}", reason(&error))))?;
    Ok(LinkClient::new(channel)
        .max_decoding_message_size(DOWN_MAX_BYTES)
        .max_encoding_message_size(UP_MAX_BYTES))
}

/// A line on which control has said something: it speaks first. Whether it takes our certificate is
/// known only then (RFC 8446 §4.4.2.4), and whoever writes before that may lose the reason why not.
async fn heard(
    control: &str,
    mut stream: TlsStream<TcpStream>,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, LinkError> {
    let refused = |why: &str| LinkError::Refused(format!("{control} refuses us: {why}"));
    let mut first = vec![0; FIRST_BYTES];
    let read = timeout(CONNECT_TIME, stream.read(&mut first)).await;
    let read = read.map_err(|_| refused("it says nothing"))?;
    let length = match read {
        Ok(0) => return Err(refused("it has ended the line")),
        Ok(length) => length,
        Err(error) => return Err(refused(&reason(&error))),
    };
    first.truncate(length);
    let (reader, writer) = tokio::io::split(stream);
    Ok(tokio::io::join(Cursor::new(first).chain(reader), writer))
}

async fn connect(
    control: &str,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let away = |why: String| LinkError::Unreachable(control.to_owned(), why);
    let stream = timeout(CONNECT_TIME, TcpStream::connect(control)).await;
    let stream = stream.map_err(|_| away("no answer".into()))?;
    let stream = stream.map_err(|error| away(error.to_string()))?;
    stream
        .set_nodelay(true)
        .map_err(|error| away(error.to_string()))?;
    let name = ServerName::try_from(tls::CONTROL_NAME).map_err(LinkError::certificate)?;
    let handshake = TlsConnector::from(config).connect(name, stream);
    match timeout(CONNECT_TIME, handshake).await {
        Err(_) => Err(away("it does not speak TLS, or is too slow".into())),
        Ok(Err(error)) => Err(LinkError::Refused(format!(
            "{control} is not the control of this platform, or refuses us: {}",
            reason(&error)
        ))),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// Only its form matters: where control is, is known already.
const ORIGIN: &str = "http://control.tandem.internal";
/// Enough for what control says first, or for a part of it.
const FIRST_BYTES: usize = 1_024;
const CONNECT_TIME: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How much may be under way of a large configuration.
const WINDOW_BYTES: u32 = 1 << 20;
