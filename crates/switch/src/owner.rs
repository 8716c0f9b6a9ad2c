//! Whose request a client transaction carries.

use call::RequestId;
use clock::Time;
use model::GatewayId;
use registrar::{PingId, UpstreamId};
use sip::transaction::ServerId;

use crate::output::CallKey;

/// Who waits for the responses of a client transaction.
#[derive(Debug)]
pub(crate) enum Owner {
    /// A call.
    Call { key: CallKey, request: RequestId },
    /// The registrar's OPTIONS to a binding.
    BindingPing { ping: PingId, sent: Time },
    /// The OPTIONS to a gateway.
    GatewayPing { gateway: GatewayId, sent: Time },
    /// Our REGISTER at a carrier.
    Upstream { id: UpstreamId },
    /// A MESSAGE outside of dialogs, and the request it came with.
    Message { server: ServerId },
}
