//! Customers, carriers and routes, made through the API as an operator would.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::rest::Rest;
use crate::wait::wait_for;

/// A gateway of a carrier that a test makes.
#[derive(Clone, Copy, Debug)]
pub struct GatewaySpec {
    /// Where it listens, over UDP.
    pub address: SocketAddr,
    /// Lower is tried first.
    pub priority: u16,
}

impl GatewaySpec {
    /// A gateway at this address, as good as others.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            priority: 0,
        }
    }
}

/// The path of a record of this kind: `/v1/users/01ABC...`.
#[must_use]
pub fn record_path(kind: &str, record: &Value) -> String {
    format!("/v1/{kind}/{}", record["id"].as_str().unwrap_or_default())
}

impl Rest {
    /// The first record of a kind.
    ///
    /// # Errors
    /// If there is none.
    pub fn first(&self, kind: &str) -> Result<Value> {
        let records = self.list(&format!("/v1/{kind}"))?;
        records
            .into_iter()
            .next()
            .with_context(|| format!("no {kind}"))
    }

    /// The identifier of the account of the first start.
    ///
    /// # Errors
    /// If there is none.
    pub fn account(&self) -> Result<Value> {
        let accounts = self.list("/v1/accounts")?;
        Ok(accounts.first().context("the platform has no account")?["id"].clone())
    }

    /// Makes a customer known by its address; `network` in CIDR notation, `more` are fields
    /// beyond the mandatory ones.
    ///
    /// # Errors
    /// If the platform refuses it.
    pub fn add_customer(&self, network: &str, more: &Value) -> Result<Value> {
        let customer = json!({
            "account": self.account()?,
            "name": "customer",
            "auth": { "kind": "address", "networks": [network] },
        });
        self.create("/v1/customers", &merged(customer, more))
    }

    /// Makes a carrier with gateways that only take calls, and a route for `prefix` to it;
    /// `more` are fields of the carrier beyond the mandatory ones. Gives the carrier.
    ///
    /// # Errors
    /// If the platform refuses one of them.
    pub fn add_carrier(
        &self,
        prefix: &str,
        gateways: &[GatewaySpec],
        more: &Value,
    ) -> Result<Value> {
        let carrier = json!({ "name": format!("carrier {prefix}") });
        let carrier = self.create("/v1/carriers", &merged(carrier, more))?;
        for gateway in gateways {
            let gateway = json!({
                "carrier": carrier["id"],
                "name": gateway.address.to_string(),
                "host": gateway.address.ip().to_string(),
                "port": gateway.address.port(),
                "transport": "udp",
                "priority": gateway.priority,
                "inbound": false,
            });
            self.create("/v1/gateways", &gateway)?;
        }
        let route = json!({ "prefix": prefix, "carrier": carrier["id"] });
        self.create("/v1/routes", &route)?;
        Ok(carrier)
    }

    /// Makes a media server that is controlled there, with `more` fields, and waits until the
    /// platform says that it is up.
    ///
    /// # Errors
    /// If the platform refuses it.
    ///
    /// # Panics
    /// If it does not come up.
    #[track_caller]
    pub fn add_media_server(&self, name: &str, control: &str, more: &Value) -> Result<Value> {
        let record = json!({ "name": name, "control": control });
        let record = self.create("/v1/media-servers", &merged(record, more))?;
        self.wait_for_media_server(name, "up");
        Ok(record)
    }

    /// What the platform says of a media server; null if it does not know it.
    #[must_use]
    pub fn media_server(&self, name: &str) -> Value {
        let all = self.list("/v1/media-server-health").unwrap_or_default();
        let mut all = all.into_iter();
        let found = all.find(|server| server["name"] == name);
        found.unwrap_or(Value::Null)
    }

    /// Waits until the platform says so of a media server.
    ///
    /// # Panics
    /// If it does not in time.
    #[track_caller]
    pub fn wait_for_media_server(&self, name: &str, state: &str) {
        wait_for(&format!("{name} to be {state}"), || {
            (self.media_server(name)["state"] == state).then_some(())
        });
    }
}

fn merged(mut record: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    record
}
