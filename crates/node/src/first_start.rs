//! The first start: one tenant, two users, a token; so that a call can be made at once.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clock::Time;
use model::{
    Account, AccountId, ApiToken, Forking, LimitSpec, Person, PersonId, Role, Settings, SignInBy,
    TokenId, User, UserId,
};
use store::{Actor, Page, Records, StoreError};

use crate::data::{Admin, Data, DemoUser, FirstAdmin};

/// The users of a first start.
const NAMES: [&str; 2] = ["alice", "bob"];
/// Who signs in first.
const ADMINISTRATOR: &str = "admin";
/// Where their password is until somebody deletes it.
const FIRST_ADMIN: &str = "first-admin.json";
/// People among whom the first one is looked for.
const PEOPLE_LOOKED_AT: usize = 500;
/// The domain of a first start that is told none.
const DOMAIN: &str = "tandem.local";

/// The users of the first start that are still there.
#[derive(Default)]
pub(crate) struct FirstUsers {
    /// Those whose password is the one they were made with.
    pub(crate) known: Vec<DemoUser>,
    /// The names of those with another one by now.
    pub(crate) unknown: Vec<String>,
}

/// Makes what a new platform needs, or leaves what is there. The users with their passwords, if
/// they are still known.
pub(crate) fn prepare(
    data: &Data,
    records: &Arc<dyn Records>,
    domain: Option<&str>,
    now: Time,
) -> Result<FirstUsers> {
    let page = Page {
        after: None,
        limit: 1,
    };
    if !records.list::<Account>(&page)?.is_empty() {
        return still_there(data, records);
    }
    let actor = Actor {
        name: "first start".into(),
        at: now,
    };
    let domain = domain.unwrap_or(DOMAIN);
    let stored = records.settings()?;
    let settings = Settings {
        domain: domain.into(),
        ..stored.record
    };
    records
        .set_settings(&actor, &settings, stored.revision)
        .map_err(|error| match error {
            StoreError::Invalid(errors) => {
                let why: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
                anyhow::anyhow!("the domain {domain:?} cannot be used: {}", why.join("; "))
            }
            other => anyhow::Error::new(other).context("the settings cannot be stored"),
        })?;
    let account = Account {
        id: AccountId::from_parts(now.as_millis(), random()?),
        name: "Default".into(),
        enabled: true,
        music_on_hold: None,
        limits: LimitSpec::default(),
    };
    records.create(&actor, account.clone())?;
    let mut users = Vec::new();
    for name in NAMES {
        let password = control::generate_password().context("no random numbers")?;
        let user = User {
            id: UserId::from_parts(now.as_millis(), random()?),
            account: account.id,
            name: name.into(),
            display_name: String::new(),
            caller_number: None,
            secret: control::digest_secret(name, domain, &password),
            enabled: true,
            contacts_max: 0,
            forking: Forking::Parallel,
            ring_timeout_s: 0,
            record: false,
            dtmf: model::DtmfMode::default(),
            limits: LimitSpec::default(),
        };
        records.create(&actor, user)?;
        users.push(DemoUser {
            name: name.into(),
            password,
        });
    }
    data.write("demo-users.json", &users)?;
    Ok(FirstUsers {
        known: users,
        unknown: Vec::new(),
    })
}

/// A password that was changed, or that another domain has made void, is not worth printing.
fn still_there(data: &Data, records: &Arc<dyn Records>) -> Result<FirstUsers> {
    let snapshot = records.snapshot()?;
    let domain = &snapshot.settings.domain;
    let mut found = FirstUsers::default();
    for made in data
        .read::<Vec<DemoUser>>("demo-users.json")
        .unwrap_or_default()
    {
        let Some(user) = snapshot.users.iter().find(|u| u.name == made.name) else {
            continue;
        };
        if user.secret == control::digest_secret(&made.name, domain, &made.password) {
            found.known.push(made);
        } else {
            found.unknown.push(made.name);
        }
    }
    Ok(found)
}

/// The token of the command line: the one in `admin.json` if it is still valid, else a new one.
pub(crate) fn admin(
    data: &Data,
    records: &Arc<dyn Records>,
    http: &str,
    now: Time,
) -> Result<Admin> {
    let known = data.read::<Admin>("admin.json");
    let valid = match &known {
        Some(admin) => match records.token_by_hash(&control::token_hash(&admin.token)) {
            // It was valid before the store went away.
            Err(StoreError::Unavailable(_)) => true,
            found => found?.is_some(),
        },
        None => false,
    };
    let token = match known.filter(|_| valid) {
        Some(admin) => admin.token,
        None => {
            let token = control::generate_token().context("no random numbers")?;
            let record = ApiToken {
                id: TokenId::from_parts(now.as_millis(), random()?),
                name: "command line".into(),
                role: Role::Admin,
                created_us: now.as_micros(),
                last_used_us: None,
                expires_us: None,
                account: None,
                zones: Vec::new(),
                scopes: Vec::new(),
            };
            let actor = Actor {
                name: "first start".into(),
                at: now,
            };
            records.create_token(&actor, &record, &control::token_hash(&token))?;
            token
        }
    };
    let admin = Admin {
        http: http.into(),
        token,
    };
    data.write("admin.json", &admin)?;
    Ok(admin)
}

/// The first administrator, where nobody can sign in yet; with the password, as long as it is the one
/// that was made.
pub(crate) fn administrator(
    data: &Data,
    records: &Arc<dyn Records>,
    now: Time,
) -> Result<Option<FirstAdmin>> {
    let page = Page {
        after: None,
        limit: PEOPLE_LOOKED_AT,
    };
    let people = match records.list::<Person>(&page) {
        // Whoever was there can sign in when it is back.
        Err(StoreError::Unavailable(_)) => return Ok(None),
        people => people?,
    };
    if people.is_empty() {
        let password = control::generate_password().context("no random numbers")?;
        let hash = control::password_hash(&password);
        let person = Person {
            id: PersonId::from_parts(now.as_millis(), random()?),
            name: ADMINISTRATOR.into(),
            display_name: String::new(),
            role: Role::Admin,
            account: None,
            zones: Vec::new(),
            sign_in: SignInBy::Password,
            oidc: None,
            enabled: true,
            password_hash: Some(hash.map_err(|e| anyhow::anyhow!("hashing a password: {e}"))?),
            second_factor: None,
        };
        let actor = Actor {
            name: "first start".into(),
            at: now,
        };
        match records.create(&actor, person) {
            // Another node of the cluster was first.
            Err(StoreError::Duplicate { .. }) => return Ok(None),
            made => made?,
        };
        let made = FirstAdmin {
            name: ADMINISTRATOR.into(),
            password,
        };
        data.write(FIRST_ADMIN, &made)?;
        return Ok(Some(made));
    }
    let Some(made) = data.read::<FirstAdmin>(FIRST_ADMIN) else {
        return Ok(None);
    };
    let person = people.iter().find(|stored| stored.record.name == made.name);
    let hash = person.and_then(|stored| stored.record.password_hash.as_deref());
    Ok(control::password_matches(hash, &made.password).then_some(made))
}

pub(crate) fn random() -> Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(u128::from_le_bytes(bytes) & ((1 << 80) - 1))
}
