//! Bindings as they are saved: a version, fixed fields, and texts with their lengths.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;

use clock::Time;
use sip::{ConnId, Flow, ListenerId, Transport};

use crate::binding::{Binding, BindingId, Q_MAX, Stored, TextParts, Texts, Trust};
use crate::output::Removal;
use crate::policy;
use crate::reach::PackedFlow;

/// A binding as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The address of record.
    pub aor: Box<str>,
    /// Which binding of it: its id, big endian.
    pub key: [u8; 8],
    /// When it expires; microseconds since the Unix epoch.
    pub expires_us: u64,
    /// The rest, for [`crate::Registrar::restore`].
    pub body: Vec<u8>,
}

/// A binding to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<'a> {
    /// As in [`Record`].
    pub aor: &'a str,
    /// As in [`Record`].
    pub key: [u8; 8],
    /// As in [`Record`].
    pub expires_us: u64,
    /// As in [`Record`].
    pub body: &'a [u8],
}

impl State<'_> {
    /// The same to keep.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record {
            aor: self.aor.into(),
            key: self.key,
            expires_us: self.expires_us,
            body: self.body.to_vec(),
        }
    }
}

/// What became of a saved binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is registered again.
    Kept(BindingId),
    /// It did not outlast the restart.
    Dropped(Removal),
}

/// Why a saved binding cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It ends too early, has bytes left over, or a field no binding has.
    #[error("the record is damaged")]
    Damaged,
    /// A later version of this program wrote it.
    #[error("the record has version {0}, which is not known here")]
    Version(u8),
    /// A binding of this id is registered.
    #[error("a binding of this id is registered already")]
    Duplicate,
    /// The registrar has its number of bindings.
    #[error("no room for another binding")]
    Full,
}

/// Writes a binding, its body into `body`, whatever was there.
pub(crate) fn encode<'a>(binding: &'a Binding, agent: &[u8], body: &'a mut Vec<u8>) -> State<'a> {
    let flow = binding.flow.unpack();
    let texts = binding.texts().parts();
    body.clear();
    body.push(VERSION);
    body.push(match binding.trust {
        Trust::Pending { .. } => PENDING,
        Trust::Routable { .. } => ROUTABLE,
    });
    body.push(flow.transport as u8);
    body.extend_from_slice(&flow.listener.0.to_be_bytes());
    let scope = match flow.remote {
        SocketAddr::V4(v4) => {
            body.push(V4_LEN);
            body.extend_from_slice(&v4.ip().octets());
            0
        }
        SocketAddr::V6(v6) => {
            body.push(V6_LEN);
            body.extend_from_slice(&v6.ip().octets());
            v6.scope_id()
        }
    };
    body.extend_from_slice(&scope.to_be_bytes());
    body.extend_from_slice(&flow.remote.port().to_be_bytes());
    body.extend_from_slice(&binding.since.as_micros().to_be_bytes());
    body.extend_from_slice(&binding.cseq.to_be_bytes());
    body.extend_from_slice(&binding.reg_id.to_be_bytes());
    body.extend_from_slice(&binding.q_milli.to_be_bytes());
    body.extend_from_slice(&binding.rtt_us.map_or(0, NonZeroU32::get).to_be_bytes());
    body.extend_from_slice(&binding.version.to_be_bytes());
    for field in [texts.uri, texts.call_id, texts.instance, texts.path, agent] {
        let len = u16::try_from(field.len()).expect("the bounds of all texts are below 2^16");
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(field);
    }
    State {
        aor: texts.aor,
        key: binding.id.bits().to_be_bytes(),
        expires_us: binding.expires.as_micros(),
        body,
    }
}

/// Reads a binding, without connection and timers; and the User-Agent.
pub(crate) fn decode(record: &Record) -> Result<(Binding, &[u8]), RecordError> {
    let mut reader = Reader(&record.body);
    let version = reader.byte()?;
    if version != VERSION && version != WITHOUT_VERSION {
        return Err(RecordError::Version(version));
    }
    let trust = match reader.byte()? {
        PENDING => Trust::Pending { failures: 0 },
        ROUTABLE => Trust::Routable { failures: 0 },
        _ => return Err(RecordError::Damaged),
    };
    let flow = reader.flow()?;
    let since = Time::from_micros(u64::from_be_bytes(reader.array()?));
    let cseq = u32::from_be_bytes(reader.array()?);
    let reg_id = u32::from_be_bytes(reader.array()?);
    let q_milli = u16::from_be_bytes(reader.array()?);
    let rtt_us = NonZeroU32::new(u32::from_be_bytes(reader.array()?));
    let state_version = match version {
        WITHOUT_VERSION => since.as_micros(),
        _ => u64::from_be_bytes(reader.array()?),
    };
    let uri = reader.text(policy::URI_MAX)?;
    let call_id = reader.text(policy::CALL_ID_MAX)?;
    let instance = reader.text(policy::INSTANCE_MAX)?;
    let path = reader.text(policy::PATH_MAX)?;
    let agent = reader.text(policy::AGENT_MAX)?;
    let fits = reader.0.is_empty()
        && (1..=policy::AOR_MAX).contains(&record.aor.len())
        && q_milli <= Q_MAX
        && state_version <= VERSION_MAX
        && !uri.is_empty();
    if !fits {
        return Err(RecordError::Damaged);
    }
    let texts = Texts::new(&TextParts {
        aor: &record.aor,
        uri,
        call_id,
        instance,
        path,
    });
    let id = BindingId::from_bits(u64::from_be_bytes(record.key));
    let mut binding = Binding::new(id, PackedFlow::from(&flow), texts, since);
    binding.expires = Time::from_micros(record.expires_us);
    binding.stored = Stored::Newest;
    binding.version = state_version;
    binding.trust = trust;
    binding.cseq = cseq;
    binding.reg_id = reg_id;
    binding.q_milli = q_milli;
    binding.rtt_us = rtt_us;
    Ok((binding, agent))
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(RecordError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| RecordError::Damaged)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self, len_max: usize) -> Result<&'a [u8], RecordError> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        if len > len_max {
            return Err(RecordError::Damaged);
        }
        self.take(len)
    }

    fn flow(&mut self) -> Result<Flow, RecordError> {
        let transport = self.byte()?;
        let transport = TRANSPORTS
            .into_iter()
            .find(|known| *known as u8 == transport)
            .ok_or(RecordError::Damaged)?;
        let listener = ListenerId(u16::from_be_bytes(self.array()?));
        let ip: IpAddr = match self.byte()? {
            V4_LEN => self.array::<4>()?.into(),
            V6_LEN => self.array::<16>()?.into(),
            _ => return Err(RecordError::Damaged),
        };
        let scope = u32::from_be_bytes(self.array()?);
        let mut remote = SocketAddr::new(ip, u16::from_be_bytes(self.array()?));
        if let SocketAddr::V6(v6) = &mut remote {
            v6.set_scope_id(scope);
        }
        // Connections are numbered anew by each process.
        let conn: Option<ConnId> = None;
        Ok(Flow {
            transport,
            listener,
            conn,
            remote,
        })
    }
}

const VERSION: u8 = 2;
/// As it was written before bindings had versions.
const WITHOUT_VERSION: u8 = 1;
const PENDING: u8 = 0;
const ROUTABLE: u8 = 1;
/// The greatest version there can be, with room for what comes after it.
const VERSION_MAX: u64 = u64::MAX / 2;
/// Bytes of an address.
const V4_LEN: u8 = 4;
const V6_LEN: u8 = 16;
const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Ws,
    Transport::Wss,
];
