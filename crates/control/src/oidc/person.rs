//! Who somebody is here whom the provider knows, and what they may do.

use model::{
    AccountId, Newcomers, OidcIdentity, OidcRule, OidcSettings, Person, PersonId, Role, SignInBy,
    Validate, ZoneId,
};
use serde_json::Value;
use store::{Actor, Records, StoreError, Stored};

use super::Refused;

/// Somebody who comes from the provider.
#[derive(Clone, Debug)]
pub(super) struct Comer {
    identity: OidcIdentity,
    /// What they would be called here; `None`: their claims have no such name.
    name: Option<String>,
    display_name: String,
    /// What the rules give them; `None`: no rule fits.
    grant: Option<Grant>,
}

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    role: Role,
    account: Option<AccountId>,
    zones: Vec<ZoneId>,
}

/// Why somebody does not come in.
pub(super) enum Turned {
    /// They may not.
    Away(Refused),
    /// The store does not let us look.
    Store(StoreError),
}

/// Whether the claims say all that the settings ask about.
pub(super) fn is_complete(claims: &Value, settings: &OidcSettings) -> bool {
    let rules = settings.rules.iter().map(|rule| &rule.claim);
    let mut asked = rules.chain([&settings.name_claim]);
    asked.all(|claim| claim_of(claims, claim).is_some())
}

impl Comer {
    /// Who these claims are of, which were checked.
    pub(super) fn of(claims: &Value, issuer: &str, settings: &OidcSettings) -> Self {
        let subject = claims["sub"].as_str().unwrap_or_default();
        let name = claim_of(claims, &settings.name_claim).and_then(Value::as_str);
        let fits = settings.rules.iter().find(|rule| rule_fits(rule, claims));
        let display_name = claims["name"].as_str().unwrap_or_default();
        let display_name = display_name.chars().filter(|c| !c.is_control());
        Self {
            identity: OidcIdentity {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
            },
            name: name.map(|name| name.trim().to_lowercase()),
            display_name: display_name.take(DISPLAY_NAME_MAX).collect(),
            grant: fits.map(Grant::of),
        }
    }

    /// What they are called, for people.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.identity.subject)
    }

    /// The person they are, with what they may do today; made, if there is none and that is wanted.
    pub(super) fn admit(
        &self,
        records: &dyn Records,
        settings: &OidcSettings,
        actor: &Actor,
        new_id: PersonId,
    ) -> Result<Person, Turned> {
        let granted = settings.rules.is_empty() || self.grant.is_some();
        let no_role = || Turned::Away(Refused::NoRole(self.name().to_owned()));
        let people = people(records)?;
        let found = self.find(people)?;
        let Some(Stored { record, revision }) = found else {
            if settings.newcomers == Newcomers::Refuse {
                return Err(Turned::Away(Refused::Unknown(self.name().to_owned())));
            }
            let grant = self.grant.as_ref().ok_or_else(no_role)?;
            let person = self.newcomer(grant, new_id, settings)?;
            return Ok(records.create(actor, person)?.record);
        };
        if !record.enabled {
            return Err(Turned::Away(Refused::Disabled(record.name)));
        }
        if !granted {
            return Err(no_role());
        }
        let mut person = record.clone();
        person.oidc = Some(self.identity.clone());
        if let Some(grant) = &self.grant {
            person.role = grant.role;
            person.account = grant.account;
            person.zones.clone_from(&grant.zones);
        }
        if person == record {
            return Ok(person);
        }
        Ok(records.update(actor, person, revision)?.record)
    }

    /// Who they are among the people here. What the provider calls them for ever comes before a name,
    /// which may have been another's; a name leads only to who has not signed in by it yet.
    fn find(&self, people: Vec<Stored<Person>>) -> Result<Option<Stored<Person>>, Turned> {
        let is_same = |stored: &Stored<Person>| stored.record.oidc.as_ref() == Some(&self.identity);
        let is_called = |stored: &Stored<Person>| Some(&stored.record.name) == self.name.as_ref();
        let place = people.iter().position(is_same);
        let place = place.or_else(|| people.iter().position(is_called));
        let Some(found) = place.and_then(|place| people.into_iter().nth(place)) else {
            return Ok(None);
        };
        let person = &found.record;
        let is_theirs = person
            .oidc
            .as_ref()
            .is_none_or(|known| *known == self.identity);
        if person.sign_in == SignInBy::Oidc && is_theirs {
            return Ok(Some(found));
        }
        Err(Turned::Away(Refused::NameTaken(person.name.clone())))
    }

    fn newcomer(
        &self,
        grant: &Grant,
        id: PersonId,
        settings: &OidcSettings,
    ) -> Result<Person, Turned> {
        let person = Person {
            id,
            name: self.name.clone().unwrap_or_default(),
            display_name: self.display_name.trim().to_owned(),
            role: grant.role,
            account: grant.account,
            zones: grant.zones.clone(),
            sign_in: SignInBy::Oidc,
            oidc: Some(self.identity.clone()),
            enabled: true,
            password_hash: None,
            second_factor: None,
        };
        match person.validate().is_empty() {
            true => Ok(person),
            false => Err(Turned::Away(Refused::NoName(settings.name_claim.clone()))),
        }
    }
}

impl Grant {
    fn of(rule: &OidcRule) -> Self {
        Self {
            role: rule.role,
            account: rule.account,
            zones: rule.zones.clone(),
        }
    }
}

impl From<StoreError> for Turned {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::MissingReference { .. } => Self::Away(Refused::BadRule(error.to_string())),
            error => Self::Store(error),
        }
    }
}

fn rule_fits(rule: &OidcRule, claims: &Value) -> bool {
    let is_it = |value: &Value| match value {
        Value::String(text) => *text == rule.value,
        Value::Bool(yes) => rule.value == yes.to_string(),
        Value::Number(number) => rule.value == number.to_string(),
        _ => false,
    };
    match claim_of(claims, &rule.claim) {
        None => false,
        Some(_) if rule.value == ANY => true,
        Some(Value::Array(all)) => all.iter().any(is_it),
        Some(one) => is_it(one),
    }
}

/// A claim by its name, or by those of the objects that it is in, with dots between.
///
/// An address that the provider has not verified (OpenID Connect Core 1.0 §5.1) is no claim: many let
/// people write what they like there, another's address among it.
fn claim_of<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    let whole = claims.get(name);
    let nested = || {
        name.split('.')
            .try_fold(claims, |part, name| part.get(name))
    };
    let found = whole.or_else(nested).filter(|claim| !claim.is_null());
    found.filter(|_| name != EMAIL || is_true(&claims[EMAIL_VERIFIED]))
}

/// Whether a claim says yes; some providers write it as a text.
fn is_true(claim: &Value) -> bool {
    *claim == Value::Bool(true) || claim.as_str() == Some("true")
}

fn people(records: &dyn Records) -> Result<Vec<Stored<Person>>, StoreError> {
    let mut all: Vec<Stored<Person>> = Vec::new();
    loop {
        let after = all.last().map(|stored| stored.record.id.to_string());
        let page = store::Page {
            after: after.as_deref(),
            limit: STEP,
        };
        let batch = records.list::<Person>(&page)?;
        let is_complete = batch.len() < STEP;
        all.extend(batch);
        if is_complete {
            return Ok(all);
        }
    }
}

/// The claim that counts only together with the one that follows.
const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";
/// The value that every claim has.
const ANY: &str = "*";
/// People read at a time.
const STEP: usize = 500;
/// Characters of what others call somebody.
const DISPLAY_NAME_MAX: usize = 64;

#[cfg(test)]
mod tests;
