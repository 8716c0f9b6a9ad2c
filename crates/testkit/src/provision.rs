//! Customers, carriers and routes, made through the API as an operator would.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::rest::Rest;

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
}

fn merged(mut record: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    record
}
