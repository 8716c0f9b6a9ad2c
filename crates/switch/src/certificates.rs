//! Who has proved by the certificate of its connection who it is (RFC 5922 §7.1): a customer by one
//! of its names, a gateway by its host name, a user by its address of record.
//!
//! Whose certificates are believed was settled by the handshake. Wildcards in a certificate stand
//! for nobody (RFC 5922 §7.2).

use std::sync::Arc;

use routing::Certified;
use sip::{ConnId, Flow, Uri};

use crate::Switch;

impl Switch {
    /// A connection is open; `names` are those of the certificate its client has shown.
    pub fn handle_opened(&mut self, conn: ConnId, names: Arc<[Box<str>]>) {
        if !names.is_empty() {
            self.certificates.insert(conn, names);
        }
    }

    /// Whom the certificate of a request's connection is for, if that is somebody we know.
    pub(crate) fn certified(&self, flow: Flow) -> Option<Certified> {
        if self.certificates.is_empty() {
            return None;
        }
        let names = self.certificates.get(&flow.conn?)?;
        names.iter().find_map(|name| self.certified_by(name))
    }

    fn certified_by(&self, name: &str) -> Option<Certified> {
        if !name.contains(':') {
            return self.routes.certified(name);
        }
        let uri = Uri::parse(name.as_bytes()).ok()?;
        let host = core::str::from_utf8(uri.host).ok()?;
        let user = uri.user_decoded();
        if user.is_empty() {
            return self.routes.certified(host);
        }
        let ours = host.eq_ignore_ascii_case(self.routes.domain());
        let user = core::str::from_utf8(&user).ok().filter(|_| ours)?;
        self.routes.certified_user(user)
    }
}
