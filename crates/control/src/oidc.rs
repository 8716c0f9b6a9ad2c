//! Signing in by a provider of identities: the authorization code flow of OpenID Connect Core 1.0 §3.1, with
//! PKCE (RFC 7636) and the issuer in the answer (RFC 9207).
//!
//! What must be remembered between going to the provider and coming back is sealed in a cookie of the
//! browser that went: nobody who only asks costs us memory, any node of the platform can go on, and
//! another browser has nothing to come back with. Each is good once.
//!
//! Left out: the implicit and hybrid flows, encrypted tokens, signed answers of userinfo, and being told
//! of a sign-out by the provider.

mod asking;
mod flow;
mod id_token;
mod jws;
mod person;
mod provider;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use model::{OidcSettings, Person};
use serde_json::Value;
use store::{Actor, Ticket};

use self::id_token::Expected;
use self::provider::{Known, Provider};
use crate::control::now;
use crate::{Control, Problem};

pub(crate) use self::flow::{Flow, forget_cookie};
pub(crate) use self::provider::encoded;

/// How a provider is asked. It may block.
pub trait OidcPort: Send + Sync + 'static {
    /// GET, with a bearer token if one is given. Errors: why there is no answer.
    fn get(&self, url: &str, bearer: Option<&str>) -> Result<OidcAnswer, String>;
    /// POST of a form, with the value of Authorization if one is given. Errors: alike.
    fn post(
        &self,
        url: &str,
        form: &str,
        authorization: Option<&str>,
    ) -> Result<OidcAnswer, String>;
    /// What proves us to it; `None`: nothing does, and PKCE alone protects the code. Errors: it cannot
    /// be read.
    fn client_secret(&self) -> Result<Option<String>, String>;
}

/// What a provider answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The body, of a bounded size.
    pub body: Vec<u8>,
}

/// What is known of the provider.
#[derive(Default)]
pub(crate) struct Oidc {
    port: OnceLock<Arc<dyn OidcPort>>,
    /// As it last said, and when.
    known: Mutex<Option<(Instant, Arc<Known>)>>,
    asking: asking::Asking,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Nobody signs in by a provider here.
    #[error("no provider is set up: settings oidc.issuer, oidc.client_id and oidc.panel_url")]
    NotSetUp,
    /// It does not answer, or not as it should.
    #[error("the provider cannot be asked: {0}")]
    Away(String),
    /// What it says does not hold.
    #[error("what the provider says is not believed: {0}")]
    Untrue(String),
    /// It was not begun here, was ended already, or took too long.
    #[error("this sign-in was not begun by this browser, is over or was used: begin again")]
    NotBegun,
    /// The provider, or the person there, refuses.
    #[error("the provider refuses: {0}")]
    Provider(String),
    /// The platform does not know them.
    #[error(
        "nobody here is {0:?} who signs in by the provider: an administrator makes such a person first"
    )]
    Unknown(String),
    /// Their name belongs to somebody else here.
    #[error("{0:?} is somebody here who does not sign in by this identity of the provider")]
    NameTaken(String),
    /// They have no name that is one here.
    #[error("the claim {0} has no name that is one here: lower-case letters, digits and . _ @ -")]
    NoName(String),
    /// They may not sign in.
    #[error("{0:?} may not sign in here any more")]
    Disabled(String),
    /// No rule fits.
    #[error("no rule of the settings gives {0:?} a role")]
    NoRole(String),
    /// A rule names what is not there.
    #[error("a rule of the settings names an account or zone that there is not: {0}")]
    BadRule(String),
    /// The store is away.
    #[error("the platform cannot look: {0}")]
    Store(String),
}

impl Refused {
    /// The same for programs, and for the page that says it.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NotSetUp => "not-set-up",
            Self::Away(_) => "provider-away",
            Self::Untrue(_) => "provider-untrue",
            Self::NotBegun => "not-begun",
            Self::Provider(_) => "provider-refuses",
            Self::Unknown(_) => "unknown-person",
            Self::NameTaken(_) => "name-taken",
            Self::NoName(_) => "no-name",
            Self::Disabled(_) => "disabled",
            Self::NoRole(_) => "no-role",
            Self::BadRule(_) => "bad-rule",
            Self::Store(_) => "unavailable",
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Store(problem.detail().to_owned())
    }
}

/// What a browser brings back from the provider (RFC 6749 §4.1.2, RFC 9207 §2).
pub(crate) struct Brought {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) issuer: Option<String>,
    /// In place of a code: why there is none.
    pub(crate) error: Option<String>,
}

impl Control {
    /// People can sign in by a provider, which is asked so, as soon as the settings name one.
    pub fn signs_in_by(&self, port: Arc<dyn OidcPort>) {
        // A second time there is nothing new.
        let _ = self.oidc().port.set(port);
    }

    /// The settings of the provider. Errors: there is none.
    pub(crate) async fn oidc_settings(&self) -> Result<OidcSettings, Refused> {
        let settings = self.records(|records| records.settings()).await?.record;
        let set = settings.oidc;
        match (set.issuer.is_some(), self.oidc().port.get()) {
            (true, Some(_)) => Ok(set),
            _ => Err(Refused::NotSetUp),
        }
    }

    /// A sign-in that leads to `to` afterwards, and where the browser goes for it.
    pub(crate) async fn begin_oidc(&self, to: String) -> Result<(Flow, String), Refused> {
        let settings = self.oidc_settings().await?;
        let provider = self.provider(&settings).await?;
        let flow = Flow::new(&settings, to, now())?;
        let url = flow.authorization_url(&provider.known.metadata, &settings);
        Ok((flow, url))
    }

    /// Where people are signed out at the provider, as far as it is known without asking it.
    pub(crate) fn oidc_sign_out(&self, settings: &OidcSettings) -> Option<String> {
        let known = self.oidc().recall(settings)?;
        known.metadata.sign_out_url(settings)
    }

    /// Who comes back from the provider, if all of it holds.
    pub(crate) async fn finish_oidc(
        &self,
        flow: Option<Flow>,
        brought: Brought,
        source: IpAddr,
    ) -> Result<Person, Refused> {
        let settings = self.oidc_settings().await?;
        let flow = flow.filter(|flow| flow.admits(&settings, brought.state.as_deref(), now()));
        let flow = flow.ok_or(Refused::NotBegun)?;
        self.use_up(&flow).await?;
        if let Some(error) = brought.error {
            return Err(Refused::Provider(plain(&error)));
        }
        let code = brought.code.ok_or(Refused::NotBegun)?;
        let provider = self.provider(&settings).await?;
        provider.check_issuer(brought.issuer.as_deref())?;
        let (provider, claims) = self.claims(provider, &flow, code).await?;
        self.admit(&settings, &provider, claims, source).await
    }

    /// Marks a sign-in as used.
    async fn use_up(&self, flow: &Flow) -> Result<(), Refused> {
        let ticket = Ticket {
            space: "oidc".into(),
            key: flow.key(),
            ends_us: flow.ends_us(),
            body: String::new(),
        };
        let is_first = self
            .records(move |records| records.add_ticket(&ticket, now()))
            .await?;
        is_first.then_some(()).ok_or(Refused::NotBegun)
    }

    /// What the provider says of who has brought a code; userinfo is asked for what the token lacks.
    async fn claims(
        &self,
        provider: Provider,
        flow: &Flow,
        code: String,
    ) -> Result<(Provider, Value), Refused> {
        let (asked, verifier) = (provider.clone(), flow.verifier().to_owned());
        let tokens = self
            .oidc()
            .asking
            .ask(move || asked.exchange(&code, &verifier))
            .await?;
        let verified = jws::verify(&tokens.id_token, &provider.known.keys);
        let (provider, claims) = match verified {
            Ok(claims) => (provider, claims),
            Err(jws::Fault::NoKey) => {
                // It may sign with a newer key than those that we know.
                tracing::info!(
                    "the provider signs with a key that is not known: they are read again"
                );
                let fresh = self.learn(&provider).await?;
                let claims = jws::verify(&tokens.id_token, &fresh.known.keys);
                (
                    fresh,
                    claims.map_err(|fault| Refused::Untrue(fault.to_string()))?,
                )
            }
            Err(fault) => return Err(Refused::Untrue(fault.to_string())),
        };
        let expected = Expected {
            issuer: provider.issuer(),
            client_id: &provider.settings.client_id,
            nonce: flow.nonce(),
            now_s: now().as_micros() / 1_000_000,
        };
        id_token::check(&claims, &expected).map_err(Refused::Untrue)?;
        if person::is_complete(&claims, &provider.settings) {
            return Ok((provider, claims));
        }
        let (asked, token) = (provider.clone(), tokens.access_token);
        let more = self
            .oidc()
            .asking
            .ask(move || asked.userinfo(&token))
            .await?;
        Ok((
            provider,
            id_token::with_userinfo(claims, more).map_err(Refused::Untrue)?,
        ))
    }

    /// The person of these claims: one who is known, or a new one.
    async fn admit(
        &self,
        settings: &OidcSettings,
        provider: &Provider,
        claims: Value,
        source: IpAddr,
    ) -> Result<Person, Refused> {
        let comer = person::Comer::of(&claims, provider.issuer(), settings);
        let actor = Actor {
            name: format!("{} by {} from {source}", comer.name(), provider.issuer()),
            at: now(),
        };
        let id = crate::secret::id_bits().map_err(|error| Refused::Store(error.to_string()))?;
        let id = model::PersonId::from_parts(now().as_millis(), id);
        let settings = settings.clone();
        self.change(move |records| {
            let admitted = comer.admit(records, &settings, &actor, id);
            let revision = records.revision()?;
            match admitted {
                Ok(person) => Ok((revision, Ok(person))),
                Err(person::Turned::Store(error)) => Err(error),
                Err(person::Turned::Away(refused)) => Ok((revision, Err(refused))),
            }
        })
        .await?
    }

    /// The provider, as it is known or else as it says now. What it said before does while it is away.
    async fn provider(&self, settings: &OidcSettings) -> Result<Provider, Refused> {
        let port = self.oidc().port.get().ok_or(Refused::NotSetUp)?.clone();
        let stale = self.oidc().recall(settings);
        if let Some(known) = stale.clone().filter(|_| self.oidc().is_fresh()) {
            return Ok(Provider::new(port, settings, known));
        }
        let (asked, wanted) = (port.clone(), settings.clone());
        match self
            .oidc()
            .asking
            .ask(move || provider::discover(&*asked, &wanted))
            .await
        {
            Ok(known) => {
                let known = self.oidc().remember(known);
                Ok(Provider::new(port, settings, known))
            }
            Err(refused) => match stale {
                Some(known) => Ok(Provider::new(port, settings, known)),
                None => Err(refused),
            },
        }
    }

    /// The provider with the keys that it has now.
    async fn learn(&self, provider: &Provider) -> Result<Provider, Refused> {
        let (port, settings) = (provider.port.clone(), provider.settings.clone());
        let (asked, wanted) = (port.clone(), settings.clone());
        let known = self
            .oidc()
            .asking
            .ask(move || provider::discover(&*asked, &wanted))
            .await?;
        let known = self.oidc().remember(known);
        Ok(Provider::new(port, &settings, known))
    }
}

impl Oidc {
    /// What was said by the provider of these settings.
    fn recall(&self, settings: &OidcSettings) -> Option<Arc<Known>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().map(|(_, known)| known.clone());
        known.filter(|known| Some(&known.metadata.issuer) == settings.issuer.as_ref())
    }

    fn is_fresh(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < KNOWN_TIME)
    }

    fn remember(&self, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        let mut place = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some((Instant::now(), known.clone()));
        known
    }
}

/// What somebody else wrote, fit for a line of the log.
fn plain(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_control());
    kept.take(SAID_MAX).collect()
}

/// How long it counts what a provider said of itself.
const KNOWN_TIME: Duration = Duration::from_secs(3_600);
/// Characters kept of what somebody else says.
const SAID_MAX: usize = 200;
