//! A name server that takes dynamic updates (RFC 2136), each message signed by a shared key (TSIG,
//! RFC 8945), over TCP (RFC 7766).
//!
//! Questions are signed, too: their answers are then known to be the server's, and a key that it does
//! not take is found out before anything is changed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, TsigError};
use hickory_proto::rr::{Name, RecordType, TSigner};
use model::AcmeDns;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Asked, and told what to change.
pub(super) struct NameServer {
    /// `host:port`.
    place: String,
    signer: TSigner,
    key_name: String,
}

impl NameServer {
    pub(super) fn new(settings: &AcmeDns, key: Vec<u8>) -> Result<Self, String> {
        let algorithm = match settings.key_algorithm {
            model::TsigAlgorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
            model::TsigAlgorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
            model::TsigAlgorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
        };
        let name = Name::from_ascii(&settings.key_name);
        let name = name.map_err(|error| format!("acme.dns.key_name: {error}"))?;
        let signer = TSigner::new(key, algorithm, name, FUDGE_S);
        Ok(Self {
            place: settings.server.clone().unwrap_or_default(),
            signer: signer.map_err(|error| format!("acme.dns: {error}"))?,
            key_name: settings.key_name.clone(),
        })
    }

    /// What people call it.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Its answer to a question, whatever it is.
    pub(super) async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, String> {
        let mut question = Message::query();
        question.metadata.recursion_desired = false;
        question.add_query(Query::query(name.clone(), kind));
        self.exchange(question).await
    }

    /// Has it change a zone; the error says what to do.
    pub(super) async fn change(&self, update: Message, name: &Name) -> Result<(), String> {
        let answer = self.exchange(update).await?;
        let Self {
            place, key_name, ..
        } = self;
        match answer.response_code {
            ResponseCode::NoError => Ok(()),
            ResponseCode::Refused => Err(format!(
                "{place} refuses the change of {name}: allow the key {key_name} to change its TXT records \
                 there (BIND: update-policy {{ grant {key_name} name {name} TXT; }}; in the zone)"
            )),
            ResponseCode::NotAuth | ResponseCode::NotZone | ResponseCode::NotImp => Err(format!(
                "{place} does not take changes of {name} ({}): name the primary server of its zone in \
                 acme.dns.server, and that zone in acme.dns.zone",
                answer.response_code
            )),
            other => Err(format!(
                "{place} did not change {name}: {other}; its log says why"
            )),
        }
    }

    /// Sends a message signed, and verifies the answer. What refuses needs no signature (RFC 8945 §5.3).
    async fn exchange(&self, mut message: Message) -> Result<Message, String> {
        let Self { place, .. } = self;
        let said = |error: &dyn std::fmt::Display| format!("{place}: {error}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let verifier = message.finalize(&self.signer, now.unwrap_or_default().as_secs());
        let verifier = verifier.map_err(|error| said(&error))?;
        let sent = message.to_vec().map_err(|error| said(&error))?;
        let answer = timeout(PATIENCE, send(place, &sent)).await;
        let answer = answer.map_err(|_| {
            format!("{place} does not answer over TCP: is acme.dns.server right, and is there a firewall?")
        })?;
        let bytes = answer.map_err(|error| {
            format!("{place} is not reached over TCP: {error}; is acme.dns.server right?")
        })?;
        let answer = Message::from_vec(&bytes).map_err(|error| said(&error))?;
        if answer.id != message.id {
            return Err(format!("{place} answers something else than was asked"));
        }
        if let Some(error) = answer.signature().and_then(|found| found.data.error) {
            return Err(self.refused_by(error));
        }
        let verified = verifier.is_some_and(|mut one| one.verify(&bytes).is_ok());
        if !verified && answer.response_code == ResponseCode::NoError {
            return Err(format!(
                "the answer of {place} is not signed by the key {}: does another program answer there?",
                self.key_name
            ));
        }
        Ok(answer)
    }

    /// Why a signature was not taken, and what to do (RFC 8945 §5.2).
    fn refused_by(&self, error: TsigError) -> String {
        let Self {
            place, key_name, ..
        } = self;
        match error {
            TsigError::BadKey => format!(
                "{place} does not know the key {key_name} (BADKEY): set acme.dns.key_name and \
                 acme.dns.key_algorithm as they stand in its configuration"
            ),
            TsigError::BadSig => format!(
                "{place} has another secret for the key {key_name} (BADSIG): set acme.dns.key_secret to \
                 the one in its configuration"
            ),
            TsigError::BadTime => format!(
                "the clocks of {place} and this machine differ by more than {FUDGE_S} seconds (BADTIME): \
                 set them by NTP"
            ),
            other => format!("{place} does not take the key {key_name}: {other:?}"),
        }
    }
}

/// Sends one message on a connection of its own; RFC 7766 §8 puts its length before it.
async fn send(place: &str, message: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(place).await?;
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Seconds that clocks may differ by (RFC 8945 §10).
const FUDGE_S: u16 = 300;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
