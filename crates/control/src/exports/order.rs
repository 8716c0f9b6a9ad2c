//! What was ordered, by whom, and what of it others see.

use model::{AccountId, CarrierId, CdrOutcome, CustomerId, ExportId, UserId};
use serde::{Deserialize, Serialize};
use store::CdrFilter;
use utoipa::ToSchema;

use super::KEPT_US;
use super::write::Progress;
use crate::Problem;
use crate::control::{Caller, now};
use crate::csv::Columns;

/// Which CDRs: those that match all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExportFilter {
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    /// The customer who sent the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    /// The carrier it went to, or came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<CarrierId>,
    /// The user who called or was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    /// The caller, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// The called party, exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    called: Option<String>,
    /// How the call ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<CdrOutcome>,
    /// Ended then or later; microseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_us: Option<u64>,
    /// Ended before; microseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_us: Option<u64>,
}

/// Where an export stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExportState {
    /// Others are written first.
    Waiting,
    /// It is written.
    Running,
    /// Its file can be fetched.
    Done,
    /// It cannot be made.
    Failed,
}

/// An export as its file on the disk has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: ExportId,
    /// Who ordered it, as in the audit log.
    pub(crate) by: String,
    /// The same as an identifier.
    pub(super) owner: String,
    /// What they were confined to.
    confined_to: Option<AccountId>,
    filter: ExportFilter,
    pub(super) columns: Vec<String>,
    pub(super) created_us: u64,
    pub(super) state: ExportState,
    pub(super) ended_us: Option<u64>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) why: Option<String>,
}

/// An export of CDRs to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CdrExport {
    /// Which it is.
    pub(crate) id: ExportId,
    /// Who ordered it, as in the audit log.
    by: String,
    /// Where it stands.
    pub(crate) state: ExportState,
    /// Which CDRs.
    filter: ExportFilter,
    /// The columns of the file, in order.
    columns: Vec<String>,
    /// It was ordered; microseconds since the Unix epoch.
    created_us: u64,
    /// It ended; microseconds since the Unix epoch.
    ended_us: Option<u64>,
    /// Records written so far.
    rows: u64,
    /// The size of the file so far, in bytes.
    bytes: u64,
    /// Calls that ended then or later have been looked at, while it is written; microseconds since the
    /// Unix epoch.
    reached_us: Option<u64>,
    /// Its file is removed then; microseconds since the Unix epoch.
    expires_us: u64,
    /// Why it failed.
    why: Option<String>,
}

impl Order {
    /// A new one. Errors: somebody confined asks for another account.
    pub(super) fn new(
        caller: &Caller,
        filter: ExportFilter,
        columns: &Columns,
    ) -> Result<Self, Problem> {
        let account = caller.only_own(filter.account)?;
        let now = now();
        let mut random = [0; 10];
        getrandom::fill(&mut random).map_err(|error| Problem::unavailable(error.to_string()))?;
        let mut bits = [0; 16];
        bits[6..].copy_from_slice(&random);
        Ok(Self {
            id: ExportId::from_parts(now.as_micros() / 1_000, u128::from_be_bytes(bits)),
            by: caller.actor().name,
            owner: caller.id(),
            confined_to: caller.account,
            filter: ExportFilter { account, ..filter },
            columns: columns.names(),
            created_us: now.as_micros(),
            state: ExportState::Waiting,
            ended_us: None,
            rows: 0,
            bytes: 0,
            why: None,
        })
    }

    /// Whether somebody may see it: who ordered it, as long as they are confined to the same; and who
    /// sees everything.
    pub(super) fn is_seen_by(&self, caller: &Caller) -> bool {
        let is_theirs = self.owner == caller.id() && self.confined_to == caller.account;
        is_theirs || !caller.is_confined() && caller.role == model::Role::Admin
    }

    /// The records that are wanted.
    pub(super) fn filter(&self) -> CdrFilter {
        let wanted = self.filter.clone();
        CdrFilter {
            account: wanted.account,
            customer: wanted.customer,
            carrier: wanted.carrier,
            user: wanted.user,
            caller: wanted.caller,
            called: wanted.called,
            outcome: wanted.outcome,
            from_us: wanted.from_us,
            // What ends later would come first, and move what is read.
            to_us: Some(wanted.to_us.unwrap_or(u64::MAX).min(self.created_us)),
        }
    }

    /// When its time is over.
    pub(super) const fn expires_us(&self) -> u64 {
        self.created_us + KEPT_US
    }

    /// As others see it.
    pub(super) fn view(&self, made: &Progress) -> CdrExport {
        let is_running = self.state == ExportState::Running;
        let (rows, bytes) = match is_running {
            true => (made.rows(), made.bytes()),
            false => (self.rows, self.bytes),
        };
        CdrExport {
            id: self.id,
            by: self.by.clone(),
            state: self.state,
            filter: self.filter.clone(),
            columns: self.columns.clone(),
            created_us: self.created_us,
            ended_us: self.ended_us,
            rows,
            bytes,
            reached_us: made.reached_us().filter(|_| is_running),
            expires_us: self.expires_us(),
            why: self.why.clone(),
        }
    }
}
