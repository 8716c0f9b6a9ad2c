//! The platform's records: what an operator configures and what a call leaves behind.
//!
//! One file per resource, with the same name in store, API and command line. A record here is
//! plain data with validation; it knows no SIP, no SQL and no HTTP.

mod account;
mod acme;
mod alerts;
mod audit;
mod carrier;
mod cdr;
mod certificate;
mod customer;
mod dispatching;
mod id;
mod keys;
mod live;
mod media_server;
mod number;
mod object;
mod oidc;
mod person;
mod recording;
mod route;
mod sample;
mod server;
mod settings;
mod snapshot;
mod token;
mod trace;
mod user;
mod validate;
mod zone;

pub use account::{Account, LimitSpec};
pub use acme::{AcmeChallenge, AcmeDns, AcmeSettings, TsigAlgorithm};
pub use alerts::{AlertEmail, AlertSettings, MailSecurity};
pub use audit::AuditEntry;
pub use carrier::{Carrier, Gateway, GatewayRegistration, OutboundAuth, TransportSpec};
pub use cdr::{Cdr, CdrLegMedia, CdrOutcome, EndedBy};
pub use certificate::{
    Certificate, CertificateFacts, CertificateKind, CertificateRenewal, CertificateSource,
};
pub use customer::{Customer, CustomerAuth};
pub use dispatching::{DispatchAlgorithm, DispatchTarget, Dispatching};
pub use id::{
    AccountId, CallId, CarrierId, CdrId, CertificateId, ClusterId, CustomerId, DeviceId, DraftId,
    ExportId, GatewayId, IdError, JoinTokenId, MediaServerId, NumberId, PersonId, RouteId,
    ServerId, TaskId, TokenId, UserId, ZoneId,
};
pub use keys::DtmfMode;
pub use live::{
    CallState, CallView, GatewayHealth, GatewayRegistrationState, GatewayRegistrationView, LegView,
    MediaServerHealth, MediaServerState, RegistrationView,
};
pub use media_server::MediaServer;
pub use number::{Number, NumberTarget};
pub use oidc::{Newcomers, OidcRule, OidcSettings, is_safe_url};
pub use person::{OidcIdentity, Person, SecondFactor, SignInBy};
pub use recording::{AfterUpload, BucketAddressing, RecordingFormat, RecordingStore};
pub use route::{Rewrite, Route};
pub use sample::{DELAY_BUCKETS_MS, HISTORY_US, SAMPLE_US, Sample};
pub use server::{JoinToken, Server, ServerCertificate, ServerRole, ServerStop};
pub use settings::{
    DigestOffer, HepTransport, KeepAlive, MediaMode, MusicOver, OVERFLOW_PEERS_MAX, Overflow,
    Settings,
};
pub use snapshot::{ClusterPlan, Snapshot};
pub use token::{ApiToken, Role};
pub use trace::{TraceMode, TraceSettings, TraceTexts};
pub use user::{Device, DigestSecret, Forking, User};
pub use validate::{FieldError, Validate};
pub use zone::{Cluster, Degrees, Zone};
