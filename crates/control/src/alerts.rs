//! Calling operators: once when something has gone wrong for long enough, and once when it is over.
//!
//! Every few seconds the node is asked how it is ([`Facts`]); rules turn that into conditions
//! (`rules::conditions`), conditions that last become incidents ([`Watch`]), and each beginning and end
//! of one is told by mail and webhook, again and again until it is taken or given up.
//!
//! What is wrong with the machine alone each control tells of. What is wrong with the platform is told
//! of by the one that has the duty ([`crate::Duty::Alerts`]); its incidents are a note in the store, so
//! that the next one goes on with them.

mod calls;
mod facts;
mod groups;
mod incident;
mod keeping;
mod rules;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::AlertSettings;
use tokio::sync::Semaphore;

pub use facts::{CarrierFacts, CertificateEnd, Facts};
pub use groups::{GroupFacts, GroupKind};
pub use incident::{Delivery, Incident, Moment};
use keeping::{Keeping, Scope, Taken};
pub use rules::KEPT_CERTIFICATE;
use watch::Watch;

use crate::Control;
use crate::api::alerts::AlertTrial;
use crate::control::now;

/// What alerts need of the machine. All of it may block.
pub trait AlertPort: Send + Sync + 'static {
    /// The incidents that were kept of this machine, the oldest first.
    fn load(&self) -> Vec<Incident>;

    /// Keeps incidents of this machine.
    fn save(&self, incidents: &[Incident]);

    /// Until when the certificates that we show are valid.
    fn certificates(&self) -> Vec<CertificateEnd>;

    /// Tells of an incident by mail, if a mail server is set.
    ///
    /// # Errors
    /// Why it was not taken, in words.
    fn mail(
        &self,
        settings: &AlertSettings,
        incident: &Incident,
        moment: Moment,
    ) -> Result<(), String>;

    /// Tells of an incident by the webhook, if one is set.
    ///
    /// # Errors
    /// Why it was not taken, in words.
    fn post(
        &self,
        settings: &AlertSettings,
        incident: &Incident,
        moment: Moment,
    ) -> Result<(), String>;
}

/// The incidents of this node; clones share everything.
#[derive(Clone)]
pub struct Alerts(Arc<Shared>);

struct Shared {
    port: Arc<dyn AlertPort>,
    keeping: Keeping,
    /// How many may be told at a time.
    telling: Semaphore,
    /// Held by who writes: of two that write at once, the later knows more.
    saving: tokio::sync::Mutex<()>,
}

impl Alerts {
    /// Goes on with what was kept.
    #[must_use]
    pub fn new(port: Arc<dyn AlertPort>) -> Self {
        let keeping = Keeping::new(port.load());
        let telling = Semaphore::new(TELLING_MAX);
        Self(Arc::new(Shared {
            port,
            keeping,
            telling,
            saving: tokio::sync::Mutex::default(),
        }))
    }

    /// The incidents of the platform and of this machine, the latest first.
    pub(crate) async fn incidents(&self, control: &Control) -> Vec<Incident> {
        let mut all = keeping::of_platform(self, control).await;
        all.extend(self.with(Scope::Machine, |watch| watch.incidents().to_vec()));
        all.sort_by_key(|incident| std::cmp::Reverse(incident.id));
        all
    }

    /// Tells by all ways that nothing is wrong.
    pub(crate) async fn try_out(&self, settings: AlertSettings) -> Vec<AlertTrial> {
        let port = Arc::clone(&self.0.port);
        let at_us = now().as_micros();
        let incident = Incident {
            id: 0,
            rule: "test".to_owned(),
            subject: "test".to_owned(),
            text: "nothing is wrong, this is a test".to_owned(),
            begun_us: at_us,
            ended_us: None,
            deliveries: Vec::new(),
        };
        let told = tokio::task::spawn_blocking(move || {
            let mut told = Vec::new();
            if settings.email.server.is_some() {
                told.push((EMAIL, port.mail(&settings, &incident, Moment::Begun)));
            }
            if settings.webhook.is_some() {
                told.push((WEBHOOK, port.post(&settings, &incident, Moment::Begun)));
            }
            told
        });
        let told = told.await.unwrap_or_default().into_iter();
        told.map(|(way, told)| AlertTrial {
            way: way.to_owned(),
            error: told.err(),
        })
        .collect()
    }

    fn with<T>(&self, scope: Scope, act: impl FnOnce(&mut Watch) -> T) -> T {
        let watch = self.0.keeping.watch(scope);
        act(&mut watch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes down what is known now, off the runtime's threads.
    async fn save(&self, control: &Control, scope: Scope) {
        let _one = self.0.saving.lock().await;
        let incidents = self.with(scope, |watch| watch.incidents().to_vec());
        if scope == Scope::Platform {
            keeping::leave(self, control, &incidents).await;
            return;
        }
        let port = Arc::clone(&self.0.port);
        let saved = tokio::task::spawn_blocking(move || port.save(&incidents));
        if let Err(error) = saved.await {
            tracing::error!(%error, "the log of alerts was not written");
        }
    }

    /// Tells by all ways, each until it is taken or given up.
    fn tell(
        &self,
        (control, scope): (&Control, Scope),
        settings: &AlertSettings,
        incident: &Incident,
        moment: Moment,
    ) {
        for way in ways(settings) {
            self.tell_later((control, scope), way, settings, (incident.clone(), moment));
        }
    }

    /// Tells what nobody had taken when the node ended, or the control that had the duty before.
    fn tell_rest(&self, (control, scope): (&Control, Scope), settings: &AlertSettings) {
        for way in ways(settings) {
            for untold in self.with(scope, |watch| watch.untold(way)) {
                self.tell_later((control, scope), way, settings, untold);
            }
        }
    }

    fn tell_later(
        &self,
        (control, scope): (&Control, Scope),
        way: &'static str,
        settings: &AlertSettings,
        told: (Incident, Moment),
    ) {
        let (alerts, control, settings) = (self.clone(), control.clone(), settings.clone());
        let turn = self.0.keeping.turn();
        tokio::spawn(async move {
            let of = (&control, scope);
            alerts.tell_by(of, turn, way, settings, told).await;
        });
    }

    async fn tell_by(
        &self,
        (control, scope): (&Control, Scope),
        turn: u64,
        way: &'static str,
        settings: AlertSettings,
        (incident, moment): (Incident, Moment),
    ) {
        let id = incident.id;
        let (settings, incident) = (Arc::new(settings), Arc::new(incident));
        let mut pause = AGAIN_FIRST;
        for attempt in 1..=ATTEMPTS_MAX {
            // Nobody is called at night for what is over.
            let is_over = || self.with(scope, |watch| watch.is_over(id));
            if attempt > 1 && moment == Moment::Begun && is_over() {
                return;
            }
            let port = Arc::clone(&self.0.port);
            let (settings, incident) = (Arc::clone(&settings), Arc::clone(&incident));
            // Where much goes wrong at once, whoever is told has it one after the other. It is
            // never closed.
            let permit = self.0.telling.acquire().await;
            // The next control tells what is not told yet.
            if scope == Scope::Platform && !self.0.keeping.is_ours(control, turn) {
                return;
            }
            let told = tokio::task::spawn_blocking(move || match way {
                EMAIL => port.mail(&settings, &incident, moment),
                _ => port.post(&settings, &incident, moment),
            });
            let error = told.await.map_or_else(|e| Some(e.to_string()), Result::err);
            drop(permit);
            let error = error.map(|text| text.chars().take(ERROR_MAX).collect::<String>());
            if let Some(error) = &error {
                tracing::warn!(incident = id, way, attempt, %error, "an alert was not taken");
            }
            let is_taken = error.is_none();
            self.with(scope, |watch| {
                watch.note(
                    id,
                    Delivery {
                        moment,
                        way: way.to_owned(),
                        attempts: attempt,
                        at_us: now().as_micros(),
                        error,
                    },
                );
            });
            self.save(control, scope).await;
            if is_taken {
                return;
            }
            tokio::time::sleep(pause).await;
            pause *= 4;
        }
    }
}

/// Watches until the platform ends.
pub(crate) async fn watch(control: Control, alerts: Alerts) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seldom = facts::Seldom::default();
    let mut is_first = true;
    loop {
        rounds.tick().await;
        let settings = control
            .records(|records| Ok(records.settings()?.record))
            .await;
        let Ok(settings) = settings else {
            // Nobody knows what to watch for.
            continue;
        };
        let settings = settings.alerts;
        if std::mem::take(&mut is_first) {
            alerts.tell_rest((&control, Scope::Machine), &settings);
        }
        let has_duty = match keeping::take_over(&alerts, &control).await {
            Taken::Now => {
                alerts.tell_rest((&control, Scope::Platform), &settings);
                true
            }
            Taken::Before => true,
            Taken::Not => false,
        };
        let at_us = now().as_micros();
        let port = Arc::clone(&alerts.0.port);
        let facts = Facts::gather(&control, port, &mut seldom, at_us).await;
        let found = rules::conditions(&facts, &settings, at_us);
        let (machine, platform) = found
            .into_iter()
            .partition(|(key, _)| rules::is_of_machine(key));
        let scopes = [
            (Scope::Machine, machine, true),
            (Scope::Platform, platform, has_duty),
        ];
        for (scope, found, is_ours) in scopes {
            if is_ours {
                handle(&alerts, (&control, scope), &settings, (found, &facts)).await;
            }
        }
    }
}

/// Takes what is wrong, and tells of what began or ended with it.
async fn handle(
    alerts: &Alerts,
    (control, scope): (&Control, Scope),
    settings: &AlertSettings,
    (found, facts): (Found, &Facts),
) {
    let at_us = now().as_micros();
    let changed = alerts.with(scope, |watch| watch.handle(found, facts, at_us));
    if changed.is_empty() {
        return;
    }
    alerts.save(control, scope).await;
    for (incident, moment) in changed {
        match moment {
            Moment::Begun => tracing::warn!(incident = incident.id, "{}", incident.text),
            Moment::Ended => tracing::info!(incident = incident.id, "over: {}", incident.text),
        }
        alerts.tell((control, scope), settings, &incident, moment);
    }
}

/// What is wrong.
type Found = BTreeMap<rules::Key, rules::Condition>;

/// The ways that are set.
fn ways(settings: &AlertSettings) -> impl Iterator<Item = &'static str> {
    let email = settings.email.server.is_some().then_some(EMAIL);
    let webhook = settings.webhook.is_some().then_some(WEBHOOK);
    email.into_iter().chain(webhook)
}

const EMAIL: &str = "email";
const WEBHOOK: &str = "webhook";
/// Mails and calls that are on their way at a time.
const TELLING_MAX: usize = 4;
/// Characters of why something was not taken.
const ERROR_MAX: usize = 300;
/// Between two looks.
const ROUND: Duration = Duration::from_secs(2);
/// How often a way is tried for one moment of an incident: for a bit more than twenty minutes.
const ATTEMPTS_MAX: u32 = 6;
/// Before the second attempt; four times as long before each further one.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
