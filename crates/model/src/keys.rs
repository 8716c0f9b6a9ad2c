//! In what form a phone or a carrier gives and takes the keys of a telephone (DTMF).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How keys travel between us and a party; between parties that differ they are converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DtmfMode {
    /// As telephone events (RFC 4733); as tones where the party does not negotiate them.
    #[default]
    Rfc4733,
    /// By INFO with `application/dtmf-relay` or `application/dtmf`.
    Info,
    /// As tones among the speech.
    Inband,
}
