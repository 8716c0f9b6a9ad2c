//! Options as entries of a request, in the spellings that every rtpengine reads.

use super::Options;
use crate::keys::KeyForm;
use crate::value::{Dictionary, Value};

impl Options {
    /// Appends the entries.
    pub fn write(&self, to: &mut Dictionary<'static>) {
        let word = |word: &'static str| Value::text(word);
        list(to, "flags", self.flags.iter().map(|flag| flag.name()));
        list(to, "replace", self.replace.iter().map(|word| word.name()));
        to.push_some("transport protocol", self.transport.map(|t| word(t.name())));
        to.push_some("ICE", self.ice.map(|ice| word(ice.name())));
        to.push_some("ICE-lite", self.ice_lite.map(|lite| word(lite.name())));
        to.push_some("DTLS", self.dtls.map(|dtls| word(dtls.name())));
        to.push_some("DTLS-fingerprint", self.dtls_fingerprint.clone());
        to.push_some("SDES", self.sdes.write());
        list(to, "OSRTP", self.osrtp.iter().map(|word| word.name()));
        list(to, "rtcp-mux", self.rtcp_mux.iter().map(|word| word.name()));
        list(to, "bundle", self.bundle.iter().map(|word| word.name()));
        to.push_some("codec", self.codecs.write());
        to.push_some("sdp-attr", self.attributes.write());
        match (&self.from_interface, &self.to_interface) {
            (Some(from), Some(towards)) => {
                to.push("direction", Value::texts([from.clone(), towards.clone()]));
            }
            (from, towards) => {
                to.push_some("from-interface", from.clone());
                to.push_some("to-interface", towards.clone());
            }
        }
        to.push_some("media address", self.media_address.map(|a| a.to_string()));
        to.push_some(
            "address family",
            self.address_family.map(|f| word(f.name())),
        );
        to.push_some("received from", self.received_from.map(received_from));
        to.push_some("set-label", self.set_label.clone());
        to.push_some("ptime", self.ptime_ms.map(i64::from));
        to.push_some("ptime-reverse", self.ptime_reverse_ms.map(i64::from));
        to.push_some("TOS", self.tos.map(i64::from));
        to.push_some("record call", self.record_call.map(|s| word(s.name())));
        to.push_some("metadata", self.metadata.clone());
        to.push_some("media echo", self.media_echo.map(|e| word(e.name())));
        to.push_some("drop-traffic", self.drop_traffic.map(|d| word(d.name())));
        list(to, "T.38", self.t38.iter().map(|word| word.name()));
        owned(to, "sdp-media-remove", &self.remove_media);
        owned(to, "supports", &self.supports);
        let learning = self.endpoint_learning.map(|l| word(l.name()));
        to.push_some("endpoint-learning", learning);
        if let Some(forms) = self.key_forms {
            to.push("tandem-keys", Value::texts(forms.map(KeyForm::name)));
        }
        to.push_some("tandem-correlation", self.correlation.clone());
        to.push_some("delay-buffer", self.delay_buffer_ms.map(i64::from));
    }
}

fn received_from(address: std::net::IpAddr) -> Value<'static> {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    Value::texts([family.to_owned(), address.to_string()])
}

fn list(
    to: &mut Dictionary<'static>,
    key: &'static str,
    words: impl Iterator<Item = &'static str>,
) {
    let words: Vec<&'static str> = words.collect();
    if !words.is_empty() {
        to.push(key, Value::texts(words));
    }
}

fn owned(to: &mut Dictionary<'static>, key: &'static str, words: &[String]) {
    if !words.is_empty() {
        to.push(key, Value::texts(words.iter().cloned()));
    }
}
