//! A call as one agent sees it.

use clock::Time;
use sip::transaction::{ClientId, ServerId};
use sip::{Dialog, Flow, Message};

/// One dialog, from its INVITE to its BYE.
#[derive(Debug)]
pub(crate) struct Session {
    /// Which of the planned calls it belongs to; 0 if that cannot be told (a transfer).
    pub(crate) call: u32,
    pub(crate) stage: Stage,
    pub(crate) dialog: Dialog,
    /// When its INVITE was sent, or heard.
    pub(crate) begun_at: Time,
    /// When it was answered.
    pub(crate) up_at: Option<Time>,
    /// When this agent took it for ended.
    pub(crate) down_at: Option<Time>,
    /// Our INVITE under way.
    pub(crate) invite: Option<ClientId>,
    /// CSeq of our last INVITE.
    pub(crate) invite_seq: u32,
    /// The peer's INVITE that we have not answered, or whose ACK has not come.
    pub(crate) server: Option<ServerId>,
    /// Whether `server` is answered with 2xx.
    pub(crate) is_unacked: bool,
    /// Number of the description we sent last.
    pub(crate) description: u32,
    /// Who offers in the exchange of our last INVITE.
    pub(crate) offer: Offer,
    pub(crate) held: bool,
    pub(crate) role: Role,
}

/// Who called whom.
#[derive(Debug)]
pub(crate) enum Role {
    Caller(Calling),
    Callee(Called),
}

/// What only a caller has.
#[derive(Debug)]
pub(crate) struct Calling {
    /// The user part it calls.
    pub(crate) to: String,
    pub(crate) gave_up: bool,
    /// How often it was challenged.
    pub(crate) challenges: u8,
    /// Early dialogs with the last RSeq of each.
    pub(crate) early: Vec<(Box<[u8]>, u32)>,
}

/// What only a callee has.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) flow: Flow,
    pub(crate) request: Message,
    /// Answers a CANCEL with 200, as if it had answered a moment before.
    pub(crate) is_stubborn: bool,
    pub(crate) rseq: u32,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not answered yet.
    Inviting,
    Up,
    Down,
}

/// Who offers a description in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    InInvite,
    InAnswer,
}

impl Session {
    pub(crate) fn new(now: Time, call: u32, dialog: Dialog, role: Role) -> Self {
        Self {
            call,
            stage: Stage::Inviting,
            dialog,
            begun_at: now,
            up_at: None,
            down_at: None,
            invite: None,
            invite_seq: 0,
            server: None,
            is_unacked: false,
            description: 0,
            offer: Offer::InInvite,
            held: false,
            role,
        }
    }

    pub(crate) fn go_up(&mut self, now: Time) {
        self.stage = Stage::Up;
        self.up_at = Some(now);
    }

    pub(crate) fn go_down(&mut self, now: Time) {
        if self.stage != Stage::Down {
            self.stage = Stage::Down;
            self.down_at = Some(now);
        }
    }

    pub(crate) const fn is_caller(&self) -> bool {
        matches!(self.role, Role::Caller(_))
    }

    /// Whether a request inside a dialog belongs here.
    pub(crate) fn is_named_by(&self, request: &Message) -> bool {
        let local = request.to().ok().and_then(|to| to.tag());
        let remote = request.from().ok().and_then(|from| from.tag());
        local == Some(&*self.dialog.local_tag)
            && remote == Some(&*self.dialog.remote_tag)
            && request.call_id() == Some(&*self.dialog.call_id)
    }

    /// The next description: each differs from the one before.
    pub(crate) fn describe(&mut self, host: &str) -> Vec<u8> {
        self.description += 1;
        let ip = host.split(':').next().unwrap_or_default();
        let direction = if self.held { "sendonly" } else { "sendrecv" };
        let n = self.description;
        format!(
            "v=0\r\no=- {} {n} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 8\r\na={direction}\r\n",
            1_000 + self.call
        )
        .into_bytes()
    }
}
