//! Our own values at the front of Route, and what they say.

use sip::uri::Uri;
use sip::{HeaderName, Message, NameAddr};

use crate::{Hops, Pass, Seal};

/// Our values at the front of Route.
#[derive(Clone, Copy, Debug)]
pub struct OwnRoutes {
    /// How many there are.
    pub count: usize,
    /// What the first of them says.
    pub token: Token,
}

/// What one of our values says.
#[derive(Clone, Copy, Debug)]
pub enum Token {
    /// Nothing.
    None,
    /// Something that none of us has written, or not for this dialog.
    Forged,
    /// This.
    Genuine(Pass),
}

impl OwnRoutes {
    /// Reads them off a request.
    #[must_use]
    pub fn of(message: &Message, hops: &Hops, seal: &Seal) -> Self {
        let mut routes = Self {
            count: 0,
            token: Token::None,
        };
        for value in message.values(HeaderName::Route) {
            let Ok(address) = NameAddr::parse(value) else {
                break;
            };
            let Ok(uri) = Uri::parse(address.uri) else {
                break;
            };
            if !hops.owns(&uri) {
                break;
            }
            routes.count += 1;
            // The second of a pair says the same (RFC 5658 §4).
            if let (Token::None, Some(user)) = (routes.token, uri.user) {
                let call_id = message.call_id().unwrap_or_default();
                routes.token = match seal.open(user, call_id) {
                    Some(pass) => Token::Genuine(pass),
                    None => Token::Forged,
                };
            }
        }
        routes
    }
}
