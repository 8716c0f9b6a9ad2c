//! The first start: one tenant, two users, a token; so that a call can be made at once.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clock::Time;
use model::{
    Account, AccountId, ApiToken, Forking, LimitSpec, Role, Settings, TokenId, User, UserId,
};
use store::{Actor, Page, Records};

use crate::data::{Admin, Data, DemoUser};

/// The users of a first start.
const NAMES: [&str; 2] = ["alice", "bob"];
/// The domain of a first start that is told none.
const DOMAIN: &str = "tandem.local";

/// Makes what a new platform needs, or leaves what is there. The users with their passwords, if
/// they are still known.
pub(crate) fn prepare(
    data: &Data,
    records: &Arc<dyn Records>,
    domain: Option<&str>,
    now: Time,
) -> Result<Vec<DemoUser>> {
    let page = Page {
        after: None,
        limit: 1,
    };
    if !records.list::<Account>(&page)?.is_empty() {
        return Ok(data.read("demo-users.json").unwrap_or_default());
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
        .with_context(|| format!("the domain {domain:?} cannot be used"))?;
    let account = Account {
        id: AccountId::from_parts(now.as_millis(), random()?),
        name: "Default".into(),
        enabled: true,
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
            limits: LimitSpec::default(),
        };
        records.create(&actor, user)?;
        users.push(DemoUser {
            name: name.into(),
            password,
        });
    }
    data.write("demo-users.json", &users)?;
    Ok(users)
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
        Some(admin) => records
            .token_by_hash(&control::token_hash(&admin.token))?
            .is_some(),
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

fn random() -> Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(u128::from_le_bytes(bytes) & ((1 << 80) - 1))
}
