//! What is asked of a node about its calls: by its own API, and by control over the line.
//!
//! Both ways the same code answers, so that a call shows alike wherever it is.

use model::{AccountId, CallId, CallView, RegistrationView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::TraceQuery;

use crate::api::traces;
use crate::{
    CallFilter, CallsFound, Control, LogLine, LogQuery, LogRing, PlatformError, RegistrationFilter,
    TracesFound, paging,
};

/// Something that is asked of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which calls are in progress.
    Calls {
        /// Which of them are wanted.
        filter: CallFilter,
        /// How many at most.
        limit: usize,
        /// Those after this one only.
        after: Option<CallId>,
    },
    /// One of them.
    Call {
        /// Which.
        id: CallId,
    },
    /// To end one of them.
    HangUp {
        /// Which.
        id: CallId,
        /// Only if it is of this account.
        account: Option<AccountId>,
    },
    /// SIP messages that it has seen, a part of them.
    Traces(TraceQuery),
    /// One message with its text.
    Message {
        /// Which, as the node names it.
        id: String,
    },
    /// Who is registered there.
    Registrations {
        /// Which of them are wanted.
        filter: RegistrationFilter,
        /// How many at most.
        limit: usize,
        /// Those after this one only.
        after: Option<String>,
    },
    /// The last lines of its log.
    Log(LogQuery),
}

/// What the node says to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Those that were found.
    Calls(CallsFound),
    /// The call, if it is in progress there.
    Call(Option<Box<CallView>>),
    /// Whether it was in progress there, and ends now.
    HungUp(bool),
    /// The part that was found.
    Traces(TracesFound),
    /// The message as the API shows it, if it is still kept.
    Message(Option<Value>),
    /// Those that were found, in the order of their identifiers.
    Registrations(Vec<RegistrationView>),
    /// Lines, the newest first.
    Log(Vec<LogLine>),
    /// It cannot answer; why not, in words.
    Failed(String),
}

impl Control {
    /// What this node says to a question.
    pub async fn answer(&self, question: Question) -> Answer {
        let answered = match question {
            Question::Calls {
                filter,
                limit,
                after,
            } => {
                let limit = limit.min(paging::LIMIT_MAX + 1);
                let found = self.platform().calls(filter, limit, after).await;
                found.map(Answer::Calls)
            }
            Question::Call { id } => {
                let found = self.platform().call(id).await;
                found.map(|call| Answer::Call(call.map(Box::new)))
            }
            Question::HangUp { id, account } => {
                self.hang_up_own(id, account).await.map(Answer::HungUp)
            }
            Question::Traces(query) => {
                let found = self.platform().traced(query).await;
                found.map(|part| Answer::Traces(part.into()))
            }
            Question::Registrations {
                filter,
                limit,
                after,
            } => {
                let limit = limit.min(paging::LIMIT_MAX + 1);
                let found = self.platform().registrations(filter, limit, after).await;
                found.map(Answer::Registrations)
            }
            Question::Log(query) => Ok(Answer::Log(LogRing::of_process().latest(&query))),
            Question::Message { id } => traces::message(self, &id).await.map(Answer::Message),
        };
        answered.unwrap_or_else(|error| Answer::Failed(error.to_string()))
    }

    async fn hang_up_own(
        &self,
        id: CallId,
        account: Option<AccountId>,
    ) -> Result<bool, PlatformError> {
        if account.is_some() {
            let call = self.platform().call(id).await?;
            if call.is_none_or(|call| call.account != account) {
                return Ok(false);
            }
        }
        self.platform().hang_up(id).await
    }
}
