//! The direction of a medium (RFC 8866 §6.7), as its sender sees it.

/// Who sends, as the description's author sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both; what holds if nothing is said.
    #[default]
    SendRecv,
    /// The author sends only: it holds the other (RFC 3264 §8.4).
    SendOnly,
    /// The author receives only.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// As an attribute name: `sendrecv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// From an attribute name.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|d| d.name().as_bytes() == name)
    }

    /// From whether the author sends and whether it receives.
    const fn from_flows(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the author sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the author receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same from the other side: what an answer that grants everything says (RFC 3264 §6.1).
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::from_flows(self.receives(), self.sends())
    }

    /// What the author offers to hold the other side (RFC 3264 §8.4).
    #[must_use]
    pub const fn held(self) -> Self {
        Self::from_flows(self.sends(), false)
    }

    /// Whether an answer may say this to an offer that said `offered` (RFC 3264 §6.1).
    #[must_use]
    pub const fn answers(self, offered: Self) -> bool {
        (!self.sends() || offered.receives()) && (!self.receives() || offered.sends())
    }
}
