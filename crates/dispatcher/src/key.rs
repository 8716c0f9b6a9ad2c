//! What a choice by hash goes by.

use balancer::Algorithm;
use forward::Seal;
use sip::uri::Uri;
use sip::{HeaderName, Message};

use crate::{Config, HashOn};

/// The key of a request. Users are compared with their case, hosts without; what a phone changes
/// from call to call, such as ports and parameters, does not count. 0 where nobody asks for it.
pub(crate) fn of(message: &Message, config: &Config, seal: &Seal) -> u64 {
    if config.policy.algorithm != Algorithm::Hash {
        return 0;
    }
    let from = || {
        let address = message.from().ok();
        user_and_host(address.map(|a| a.uri).unwrap_or_default())
    };
    let text = match config.hash_on {
        HashOn::CallId => message.call_id().unwrap_or_default().to_vec(),
        HashOn::From => from(),
        HashOn::To => {
            let address = message.to().ok();
            user_and_host(address.map(|a| a.uri).unwrap_or_default())
        }
        HashOn::RequestUri => user_and_host(message.uri()),
        HashOn::AuthUser => user_name(message).unwrap_or_else(from),
    };
    seal.choice(&text)
}

fn user_and_host(uri: &[u8]) -> Vec<u8> {
    let Ok(uri) = Uri::parse(uri) else {
        return uri.to_vec();
    };
    let mut text = uri.user_unescaped();
    text.push(b'@');
    text.extend(uri.host.to_ascii_lowercase());
    text
}

/// The user name in the credentials.
fn user_name(message: &Message) -> Option<Vec<u8>> {
    let names = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
    let value = names.iter().find_map(|name| message.header(*name))?;
    let start = value.iter().position(|b| *b == b' ')?;
    let mut rest = &value[start..];
    loop {
        let end = sip::lex::find_bare(rest, b',').unwrap_or(rest.len());
        let part = sip::lex::trim(&rest[..end]);
        if let Some(at) = part.iter().position(|b| *b == b'=')
            && sip::lex::trim(&part[..at]).eq_ignore_ascii_case(b"username")
        {
            let name = sip::lex::unquote(sip::lex::trim(&part[at + 1..]));
            return Some(name.to_vec());
        }
        rest = rest.get(end + 1..)?;
    }
}
