//! Signing in with a name, a password and, where one is set up, a one-time code.

use std::net::IpAddr;
use std::time::Instant;

use model::{Person, SecondFactor};
use store::{Actor, Records, StoreError, Ticket};

use crate::control::{Caller, Who, now};
use crate::password::password_matches;
use crate::second_factor::{AppSecret, recovery_hash};
use crate::{Control, Problem, auth, problem};

/// What somebody shows.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) password: String,
    /// Of the app, or a recovery code.
    pub(crate) code: Option<String>,
}

/// The person who shows this, if it is right. What is wrong is counted for the name and the source,
/// and the answer is the same for a wrong name and a wrong password.
pub(crate) async fn sign_in(
    control: &Control,
    shown: Shown,
    source: IpAddr,
) -> Result<Person, Problem> {
    auth::check_source(control, source)?;
    let name = shown.name.trim().to_lowercase();
    let rests = |wait_s| {
        let detail = "this name was tried with too many wrong passwords and rests";
        Problem::too_many(detail, wait_s)
    };
    let lockouts = control.lockouts();
    lockouts.check(&name, Instant::now()).map_err(rests)?;
    let wrong = |what: &str| {
        control.lockouts().fail(&name, Instant::now());
        let _ = control.failures().take(source, Instant::now());
        tracing::warn!(%source, "somebody did not sign in: wrong {what}");
        Problem::new(&problem::UNAUTHORISED, format!("the {what} is not right"))
    };
    let asked = name.clone();
    let found = control
        .records(move |records| by_name(records, &asked))
        .await?;
    let hash = found.as_ref().and_then(|p| p.password_hash.clone());
    let password = shown.password;
    let matches = control.hash(move || password_matches(hash.as_deref(), &password));
    let person = match (matches.await?, found) {
        (true, Some(person)) if person.enabled => person,
        _ => return Err(wrong("name or password")),
    };
    if let Some(factor) = person.second_factor.clone() {
        let Some(code) = shown.code.filter(|code| !code.trim().is_empty()) else {
            let detail = "the code of your app is needed, too, or a recovery code";
            return Err(Problem::new(&problem::SECOND_FACTOR, detail));
        };
        if !check_code(control, &person, &factor, &code, source).await? {
            return Err(wrong("code"));
        }
    }
    control.lockouts().forget(&name);
    Ok(person)
}

/// Whether a code is one of the app, or a recovery code, which is used up with it.
async fn check_code(
    control: &Control,
    person: &Person,
    factor: &SecondFactor,
    code: &str,
    source: IpAddr,
) -> Result<bool, Problem> {
    let secret = app_secret(control, person, &factor.secret)?;
    if let Some(step) = secret.step_of(code, now().as_micros() / 1_000_000) {
        return use_step(control, person, step).await;
    }
    let hash = recovery_hash(code);
    if !factor.recovery.contains(&hash) {
        return Ok(false);
    }
    let actor = actor(person, source);
    let id = person.id;
    control
        .change(move |records| {
            let stored = records.read::<Person>(id)?;
            let mut person = stored.record;
            let codes = person.second_factor.as_mut().map(|f| &mut f.recovery);
            let Some(codes) = codes.filter(|codes| codes.contains(&hash)) else {
                return Ok((stored.revision, false));
            };
            codes.retain(|kept| *kept != hash);
            let stored = records.update(&actor, person, stored.revision)?;
            Ok((stored.revision, true))
        })
        .await
}

/// Marks a step of time as used; whether it had not been before.
pub(crate) async fn use_step(
    control: &Control,
    person: &Person,
    step: u64,
) -> Result<bool, Problem> {
    let now = now();
    let ticket = Ticket {
        space: "one-time-code".into(),
        key: format!("{}.{step}", person.id),
        ends_us: now.as_micros() + STEP_KEPT_US,
        body: String::new(),
    };
    control
        .records(move |records| records.add_ticket(&ticket, now))
        .await
}

/// What the person's app knows.
pub(crate) fn app_secret(
    control: &Control,
    person: &Person,
    sealed: &str,
) -> Result<AppSecret, Problem> {
    let opened = control.vault().open(&person.id.to_string(), sealed);
    let bytes = opened.map_err(|e| Problem::unavailable(format!("the second factor: {e}")))?;
    AppSecret::from_bytes(&bytes)
        .ok_or_else(|| Problem::new(&problem::INTERNAL, "the second factor is damaged"))
}

/// Who a person is to the audit log.
pub(crate) fn actor(person: &Person, source: IpAddr) -> Actor {
    Caller::new(Who::Person(Box::new(person.clone())), source).actor()
}

fn by_name(records: &dyn Records, name: &str) -> Result<Option<Person>, StoreError> {
    let mut after: Option<String> = None;
    loop {
        let page = store::Page {
            after: after.as_deref(),
            limit: STEP,
        };
        let batch = records.list::<Person>(&page)?;
        let complete = batch.len() < STEP;
        after = batch.last().map(|stored| stored.record.id.to_string());
        let found = batch.into_iter().find(|stored| stored.record.name == name);
        if found.is_some() || complete {
            return Ok(found.map(|stored| stored.record));
        }
    }
}

/// People looked at in one step.
const STEP: usize = 500;
/// How long a used step of time is remembered: longer than any clock would still take its code.
const STEP_KEPT_US: u64 = 5 * 60 * 1_000_000;
