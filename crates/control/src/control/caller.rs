//! Who asks, and what of it others see.

use std::net::IpAddr;
use std::sync::Arc;

use model::{AccountId, ApiToken, Person, Role, ZoneId};
use store::Actor;

use super::now;
use crate::reach::Reach;
use crate::{Problem, problem};

/// Who asks, as authentication found out.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who they are.
    pub(crate) who: Who,
    /// What they may do.
    pub(crate) role: Role,
    /// Nothing but this account is theirs to see.
    pub(crate) account: Option<AccountId>,
    /// Nothing but this is theirs to see, as far as things are in zones.
    pub(crate) reach: Arc<Reach>,
    /// Where they are.
    pub(crate) source: IpAddr,
}

/// A token, or somebody who has signed in.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// A token.
    Token(ApiToken),
    /// Somebody with a name and a password.
    Person(Box<Person>),
}

impl Caller {
    pub(crate) fn new(who: Who, source: IpAddr) -> Self {
        let (role, account) = match &who {
            Who::Token(token) => (token.role, token.account),
            Who::Person(person) => (person.role, person.account),
        };
        Self {
            who,
            role,
            account,
            reach: Arc::default(),
            source,
        }
    }

    /// The same with what is within their zones, which has to be looked up.
    pub(crate) fn with_reach(self, reach: Reach) -> Self {
        Self {
            reach: Arc::new(reach),
            ..self
        }
    }

    /// The zones they are confined to; none means all.
    pub(crate) fn zones(&self) -> &[ZoneId] {
        match &self.who {
            Who::Token(token) => &token.zones,
            Who::Person(person) => &person.zones,
        }
    }

    /// Whether they see a part of the platform alone.
    pub(crate) fn is_confined(&self) -> bool {
        self.account.is_some() || !self.zones().is_empty()
    }

    /// What others call them.
    pub(crate) fn name(&self) -> &str {
        match &self.who {
            Who::Token(token) => &token.name,
            Who::Person(person) => &person.name,
        }
    }

    /// Tells them from all others.
    pub(crate) fn id(&self) -> String {
        match &self.who {
            Who::Token(token) => token.id.to_string(),
            Who::Person(person) => person.id.to_string(),
        }
    }

    /// What of their role they may use; none means all.
    pub(crate) fn scopes(&self) -> &[String] {
        match &self.who {
            Who::Token(token) => &token.scopes,
            Who::Person(_) => &[],
        }
    }

    /// Whether they may see what is of this account.
    pub(crate) fn sees(&self, account: Option<AccountId>) -> bool {
        self.account.is_none() || self.account == account
    }

    /// The account that a list is of, where `wanted` was asked for.
    pub(crate) fn only_own(&self, wanted: Option<AccountId>) -> Result<Option<AccountId>, Problem> {
        match (self.account, wanted) {
            (Some(own), Some(wanted)) if own != wanted => {
                let detail = format!("you are confined to the account {own}");
                Err(Problem::new(&problem::FORBIDDEN, detail))
            }
            (own, wanted) => Ok(own.or(wanted)),
        }
    }

    /// The person they are.
    pub(crate) fn person(&self) -> Result<&Person, Problem> {
        match &self.who {
            Who::Person(person) => Ok(person),
            Who::Token(_) => Err(Problem::new(
                &problem::FORBIDDEN,
                "a token has no password: sign in with a name and a password",
            )),
        }
    }

    /// Who they are to the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let kind = match self.who {
            Who::Token(_) => "token",
            Who::Person(_) => "person",
        };
        let (id, name) = (self.id(), self.name());
        Actor {
            name: format!("{kind} {id} ({name}) from {}", self.source),
            at: now(),
        }
    }
}
