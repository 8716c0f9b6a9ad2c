//! Certificates from an authority that speaks ACME (RFC 8555): orders, answered by HTTP-01 (§8.3) or
//! DNS-01 (§8.4).
//!
//! The port of the challenges is open only while there is one, or while it is tried out. Who is asked,
//! and by which account, stands in `acme-accounts.json` of the data directory: one for each authority.

mod check;
mod dns;
mod http;
mod name_server;
mod responder;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use control::{CertificatePort, DomainCheck, Issued, Proof, Reply, Wanted};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use model::AcmeSettings;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::Value;
use tokio::sync::Mutex;

use self::dns::DnsRecords;
use self::http::HttpsClient;
use self::responder::Responder;
use crate::UpOptions;
use crate::certificate::trusted;
use crate::data::Data;

/// What gets certificates for this node.
pub(crate) struct AcmeDesk {
    data: Data,
    options: UpOptions,
    /// There is one port for challenges.
    one_at_a_time: Mutex<()>,
}

impl AcmeDesk {
    pub(crate) fn new(data: &Data, options: &UpOptions) -> Self {
        Self {
            data: data.clone(),
            options: options.clone(),
            one_at_a_time: Mutex::default(),
        }
    }

    /// Orders a certificate and waits for it. The error is all that the authority has said.
    async fn order(&self, wanted: Wanted) -> Result<Issued, String> {
        let Wanted {
            domains,
            acme,
            proof,
        } = wanted;
        let mut answers = match proof {
            Proof::Http => Answers::Http(Responder::open(&self.options, acme.http_port).await?),
            Proof::Dns(key) => {
                let opened = DnsRecords::open(&acme.dns, key, &domains).await;
                let records = opened.map_err(|error| format!("no authority was asked: {error}"))?;
                Answers::Dns(records)
            }
        };
        let issued = self.order_with(&mut answers, &domains, &acme).await;
        answers.close().await;
        issued
    }

    async fn order_with(
        &self,
        answers: &mut Answers,
        domains: &[String],
        acme: &AcmeSettings,
    ) -> Result<Issued, String> {
        let directory = acme.directory.as_deref().unwrap_or_default();
        let said = |error: Error| format!("{directory}: {}", words(&error));
        let identifiers: Vec<_> = domains.iter().cloned().map(Identifier::Dns).collect();
        let order = NewOrder::new(&identifiers);
        let account = self.account(directory, acme).await?;
        let mut order = match account.new_order(&order).await {
            Err(Error::Api(problem)) if is_unknown_account(&problem) => {
                // The authority has forgotten us: a laboratory's begins anew each time.
                self.forget(directory)?;
                let account = self.account(directory, acme).await?;
                account.new_order(&order).await.map_err(said)?
            }
            made => made.map_err(said)?,
        };
        match answers {
            Answers::Http(responder) => answer(&mut order, responder).await.map_err(said)?,
            Answers::Dns(records) => {
                publish(&mut order, records, directory).await?;
                records.settle().await;
                ready(&mut order).await.map_err(said)?;
            }
        }
        let retries = RetryPolicy::new().backoff(1.5).timeout(PATIENCE);
        let ready = order.poll_ready(&retries).await;
        if !matches!(ready, Ok(OrderStatus::Ready)) {
            let ended = ready.err().map(|error| words(&error));
            return Err(said_of(&mut order, directory, ended).await);
        }
        let (key, request) = signing_request(domains).map_err(|error| error.to_string())?;
        order.finalize_csr(&request).await.map_err(said)?;
        let chain = order.poll_certificate(&retries).await.map_err(said)?;
        Ok(Issued { chain, key })
    }

    /// Our account at an authority; made there if there is none.
    async fn account(&self, directory: &str, acme: &AcmeSettings) -> Result<Account, String> {
        let said = |error: Error| format!("{directory}: {}", words(&error));
        let data = self.data.clone();
        let client = tokio::task::spawn_blocking(move || HttpsClient::new(&trusted(&data)?)).await;
        let client = client.map_err(|error| error.to_string())?;
        let client = client.map_err(|error| format!("{error:#}"))?;
        let builder = Account::builder_with_http(Box::new(client));
        let mut accounts = self.accounts();
        if let Some(known) = accounts.remove(directory) {
            let known: AccountCredentials = serde_json::from_value(known)
                .map_err(|error| format!("{ACCOUNTS}: {error}; delete the file"))?;
            return builder.from_credentials(known).await.map_err(said);
        }
        let contact = acme.contact.iter().map(|mail| format!("mailto:{mail}"));
        let contact: Vec<String> = contact.collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: acme.terms_agreed,
            only_return_existing: false,
        };
        let made = builder.create(&wanted, directory.to_owned(), None).await;
        let (account, credentials) = made.map_err(said)?;
        let credentials = serde_json::to_value(&credentials);
        let credentials = credentials.map_err(|error| error.to_string())?;
        accounts.insert(directory.to_owned(), credentials);
        self.write(&accounts)?;
        Ok(account)
    }

    fn accounts(&self) -> BTreeMap<String, Value> {
        self.data.read(ACCOUNTS).unwrap_or_default()
    }

    fn forget(&self, directory: &str) -> Result<(), String> {
        let mut accounts = self.accounts();
        accounts.remove(directory);
        self.write(&accounts)
    }

    fn write(&self, accounts: &BTreeMap<String, Value>) -> Result<(), String> {
        let written = self.data.write(ACCOUNTS, accounts);
        written.map_err(|error| format!("{ACCOUNTS}: {error:#}"))
    }
}

impl CertificatePort for AcmeDesk {
    fn check(&self, domains: Vec<String>, acme: AcmeSettings) -> Reply<'_, Vec<DomainCheck>> {
        Box::pin(async move {
            let _turn = self.one_at_a_time.lock().await;
            Ok(check::all(&self.options, &domains, acme.http_port).await)
        })
    }

    fn obtain(&self, wanted: Wanted) -> Reply<'_, Result<Issued, String>> {
        Box::pin(async move {
            let _turn = self.one_at_a_time.lock().await;
            Ok(self.order(wanted).await)
        })
    }
}

/// What an authority finds when it looks at us.
enum Answers {
    Http(Responder),
    Dns(DnsRecords),
}

impl Answers {
    async fn close(self) {
        match self {
            Self::Http(responder) => responder.close().await,
            Self::Dns(records) => records.close().await,
        }
    }
}

/// Adds the record for every name of an order that is not known to be ours yet.
async fn publish(
    order: &mut Order,
    records: &mut DnsRecords,
    directory: &str,
) -> Result<(), String> {
    let said = |error: Error| format!("{directory}: {}", words(&error));
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(said)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.challenge(ChallengeType::Dns01);
        let challenge = challenge.ok_or_else(|| said(Error::Str("the challenge dns-01")))?;
        // Without the asterisk of a wildcard.
        let Identifier::Dns(domain) = challenge.identifier().identifier else {
            return Err(format!("{directory}: it asks for what is no host name"));
        };
        let value = challenge.key_authorization().dns_value();
        records.add(domain, &value).await?;
    }
    Ok(())
}

/// Says that every name of an order may be looked at by DNS.
async fn ready(order: &mut Order) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.challenge(ChallengeType::Dns01);
        let mut challenge = challenge.ok_or(Error::Str("the challenge dns-01"))?;
        challenge.set_ready().await?;
    }
    Ok(())
}

/// Has every name of an order that is not known to be ours yet looked at.
async fn answer(order: &mut Order, responder: &Responder) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let challenge = authorization.challenge(ChallengeType::Http01);
        let mut challenge = challenge.ok_or(Error::Str("the challenge http-01"))?;
        let answer = challenge.key_authorization();
        responder.answer(&challenge.token, answer.as_str());
        challenge.set_ready().await?;
    }
    Ok(())
}

/// Why an order came to nothing: what is said of it, and of each name that was looked at.
async fn said_of(order: &mut Order, directory: &str, ended: Option<String>) -> String {
    let mut said = format!("{directory}: ");
    said += ended.as_deref().unwrap_or("the order is invalid");
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            continue;
        }
        let name = authorization.identifier().to_string();
        for challenge in &authorization.challenges {
            if let Some(error) = &challenge.error {
                // A text takes all.
                let _ = write!(said, "; {name}: {error}");
            }
        }
    }
    said
}

fn is_unknown_account(problem: &instant_acme::Problem) -> bool {
    let kind = problem.r#type.as_deref();
    kind.is_some_and(|kind| kind.ends_with(":accountDoesNotExist"))
}

/// An error with all that led to it.
fn words(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            let _ = write!(said, ": {more}");
        }
        cause = error.source();
    }
    said
}

/// A fresh key in PEM, and what asks for a certificate of it (RFC 2986) in DER.
fn signing_request(domains: &[String]) -> Result<(String, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(domains)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

const ACCOUNTS: &str = "acme-accounts.json";
/// How long an authority may take to look at all names, and to issue.
const PATIENCE: Duration = Duration::from_secs(120);
