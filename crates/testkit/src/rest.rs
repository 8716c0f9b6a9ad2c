//! The platform's API, as tests use it.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A client with an address and a token.
#[derive(Clone, Debug)]
pub struct Rest {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Rest {
    /// For the API at `base` (`http://host:port`).
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            base: base.to_owned(),
            token: token.to_owned(),
        }
    }

    /// The same address with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// If the answer is not a success.
    pub fn read(&self, path: &str) -> Result<Value> {
        self.expect("GET", path, None)
    }

    /// The items of a list, all its pages.
    ///
    /// # Errors
    /// If an answer is not a success with a list in it.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut page = path.to_owned();
        loop {
            let mut answer = self.read(&page)?;
            match answer["items"].take() {
                Value::Array(more) => items.extend(more),
                _ => bail!("{page} holds no list but {answer}"),
            }
            let Some(cursor) = answer["next_cursor"].as_str() else {
                return Ok(items);
            };
            let joint = if path.contains('?') { '&' } else { '?' };
            page = format!("{path}{joint}cursor={cursor}");
        }
    }

    /// Creates a resource by POST.
    ///
    /// # Errors
    /// If the answer is not a success.
    pub fn create(&self, path: &str, body: &Value) -> Result<Value> {
        self.expect("POST", path, Some(body))
    }

    /// Replaces a resource by PUT, whatever its revision.
    ///
    /// # Errors
    /// If the answer is not a success.
    pub fn replace(&self, path: &str, body: &Value) -> Result<Value> {
        self.expect("PUT", path, Some(body))
    }

    /// Changes fields of a resource by PATCH, whatever its revision.
    ///
    /// # Errors
    /// If the answer is not a success.
    pub fn change(&self, path: &str, body: &Value) -> Result<Value> {
        self.expect("PATCH", path, Some(body))
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// If the answer is not a success.
    pub fn remove(&self, path: &str) -> Result<()> {
        self.expect("DELETE", path, None).map(|_| ())
    }

    /// Sends a request and hands over status and body, whatever they are; a body that is
    /// not JSON comes as a string.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.send_with(method, path, &[], body)
    }

    /// As [`Self::send`], with more headers.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(body.map(Value::to_string).unwrap_or_default())
            .context("building the request")?;
        let mut answer = self
            .agent
            .run(request)
            .with_context(|| format!("{method} {path}"))?;
        let text = answer
            .body_mut()
            .read_to_string()
            .context("reading the answer")?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((answer.status().as_u16(), body))
    }

    fn expect(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let any_revision: &[(&str, &str)] = if matches!(method, "PUT" | "PATCH") {
            &[("If-Match", "*")]
        } else {
            &[]
        };
        let (status, answer) = self.send_with(method, path, any_revision, body)?;
        if !(200..300).contains(&status) {
            bail!("{method} {path}: {status} {answer}");
        }
        Ok(answer)
    }
}
