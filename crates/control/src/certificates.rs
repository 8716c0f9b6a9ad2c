//! Certificates that the platform keeps: what is accepted, and what the node shows.

mod keeper;
mod pair;

pub use keeper::{CertificatePort, DomainCheck, DomainStanding, Issued, Proof, Wanted};
pub(crate) use keeper::{DNS_KEY_OWNER, keep};
pub use pair::certificate_facts;
pub(crate) use pair::{PairError, inspect};

use model::CertificateId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Vault;

/// The private key of a kept certificate in clear, as PEM, for the node that shows it.
///
/// # Errors
/// It was sealed under another cluster key than that of `vault`.
pub fn open_key(
    vault: &Vault,
    id: CertificateId,
    sealed: &str,
) -> Result<Vec<u8>, crate::VaultError> {
    vault.open(&owner(id), sealed)
}

/// To whom a sealed key belongs.
pub(crate) fn owner(id: CertificateId) -> String {
    id.to_string()
}

/// A certificate that a socket of this node shows, as it is seen by who connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PresentedCertificate {
    /// The listener's identifier; `None`: the socket of the API.
    pub listener: Option<String>,
    /// `tls`, `wss` or `https`.
    pub transport: String,
    /// The local `address:port`.
    pub address: String,
    /// The name that was asked for (SNI); `None`: none was.
    pub server_name: Option<String>,
    /// What was shown; `None` if nothing was.
    pub shown: Option<model::CertificateFacts>,
    /// Which of the kept certificates that is; `None`: one of the files in `tls/`.
    pub certificate: Option<CertificateId>,
    /// Why nothing was shown.
    pub error: Option<String>,
}
