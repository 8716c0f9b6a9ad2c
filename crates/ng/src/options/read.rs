//! Options as they come: entries of a request, words of its `flags`.

use super::{
    Bundle, CodecRule, DropTraffic, Dtls, EndpointLearning, Family, Ice, IceLite, MediaEcho,
    Options, Osrtp, RtcpMux, Switch, T38, Transport,
};
use crate::flag::{Flag, Replace};
use crate::keys;
use crate::value::Value;
use crate::word::{self, Set, Word};

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was an option.
    Yes,
    /// It is none.
    No,
}

impl Options {
    /// Takes an entry of a request. What nobody knows inside it is added to `unknown`.
    pub(crate) fn read(
        &mut self,
        key: &str,
        value: &Value<'_>,
        unknown: &mut Vec<String>,
    ) -> Taken {
        let is = |name: &str| word::same(key.as_bytes(), name.as_bytes());
        let mut words = Words {
            key,
            value,
            unknown,
        };
        if is("flags") {
            words.each(|word| self.read_flag(word));
        } else if is("replace") {
            words.set(Replace::from_name, &mut self.replace);
        } else if is("ICE") {
            words.each(|word| self.read_ice(word));
        } else if is("SDES") {
            words.each(|word| self.sdes.read_word(word));
        } else if is("OSRTP") {
            words.set(Osrtp::from_name, &mut self.osrtp);
        } else if is("rtcp-mux") {
            words.set(RtcpMux::from_name, &mut self.rtcp_mux);
        } else if is("bundle") {
            words.set(Bundle::from_name, &mut self.bundle);
        } else if is("T.38") || is("T38") {
            words.set(T38::from_name, &mut self.t38);
        } else if is("codec") {
            self.codecs.read(value, words.unknown);
        } else if let Some(rule) = codec_rule(key) {
            self.codecs.read_list(rule, value);
        } else if is("sdp-attr") {
            self.attributes.read(value, words.unknown);
        } else if is("direction") {
            words.each(|word| self.read_direction(word));
        } else if is("received-from") {
            self.received_from = words.last(|word| word.parse().ok());
        } else if is("supports") {
            self.supports = value.items().map(str::to_owned).collect();
        } else if is("sdp-media-remove") {
            self.remove_media = value.items().map(str::to_owned).collect();
        } else {
            return self.read_single(key, value, unknown);
        }
        Taken::Yes
    }

    /// Takes an entry that holds one value.
    fn read_single(&mut self, key: &str, value: &Value<'_>, unknown: &mut Vec<String>) -> Taken {
        let is = |name: &str| word::same(key.as_bytes(), name.as_bytes());
        let mut words = Words {
            key,
            value,
            unknown,
        };
        if is("transport-protocol") {
            self.transport = words.last(Transport::from_name);
        } else if is("ICE-lite") {
            self.ice_lite = words.last(IceLite::from_name);
        } else if is("DTLS") {
            self.dtls = words.last(Dtls::from_name);
        } else if is("DTLS-fingerprint") {
            self.dtls_fingerprint = words.last(|word| Some(word.to_owned()));
        } else if is("from-interface") || is("interface") {
            self.from_interface = words.last(|word| Some(word.to_owned()));
        } else if is("to-interface") {
            self.to_interface = words.last(|word| Some(word.to_owned()));
        } else if is("media-address") {
            self.media_address = words.checked(value.address());
        } else if is("address-family") {
            self.address_family = words.last(Family::from_name);
        } else if is("set-label") {
            self.set_label = words.last(|word| Some(word.to_owned()));
        } else if is("ptime") {
            self.ptime_ms = words.number();
        } else if is("ptime-reverse") {
            self.ptime_reverse_ms = words.number();
        } else if is("TOS") {
            self.tos = words.number();
        } else if is("record-call") {
            self.record_call = words.last(Switch::from_name);
        } else if is("generate-RTCP") {
            if words.last(Switch::from_name) == Some(Switch::On) {
                self.flags.insert(Flag::GenerateRtcp);
            }
        } else if is("metadata") {
            self.metadata = words.last(|word| Some(word.to_owned()));
        } else if is("media-echo") {
            self.media_echo = words.last(MediaEcho::from_name);
        } else if is("drop-traffic") {
            self.drop_traffic = words.last(DropTraffic::from_name);
        } else if is("endpoint-learning") {
            self.endpoint_learning = words.last(EndpointLearning::from_name);
        } else if is("tandem-keys") {
            self.key_forms = words.checked(keys::read_forms(value));
        } else if is("tandem-correlation") {
            self.correlation = words.last(|word| Some(word.to_owned()));
        } else if is("delay-buffer") {
            self.delay_buffer_ms = words.number();
        } else {
            return Taken::No;
        }
        Taken::Yes
    }

    /// Takes a word of the `flags` list; whether it is known.
    pub(crate) fn read_flag(&mut self, flag: &str) -> bool {
        if let Some(flag) = Flag::from_name(flag) {
            self.flags.insert(flag);
            return true;
        }
        if word::same(flag.as_bytes(), b"webrtc") {
            self.read_webrtc();
            return true;
        }
        let set = |prefix: &str| word::after(flag, prefix);
        if let Some(word) = set("SDES") {
            return self.sdes.read_word(word);
        }
        if let Some(word) = set("OSRTP") {
            let word = Osrtp::from_name(word);
            return word.map(|word| self.osrtp.insert(word)).is_some();
        }
        if let Some(word) = set("rtcp-mux") {
            let word = RtcpMux::from_name(word);
            return word.map(|word| self.rtcp_mux.insert(word)).is_some();
        }
        if let Some(word) = set("replace") {
            let word = Replace::from_name(word);
            return word.map(|word| self.replace.insert(word)).is_some();
        }
        if let Some(word) = set("bundle") {
            let word = Bundle::from_name(word);
            return word.map(|word| self.bundle.insert(word)).is_some();
        }
        if let Some(word) = set("T.38").or_else(|| set("T38")) {
            let word = T38::from_name(word);
            return word.map(|word| self.t38.insert(word)).is_some();
        }
        if let Some(word) = set("endpoint-learning") {
            self.endpoint_learning = EndpointLearning::from_name(word);
            return self.endpoint_learning.is_some();
        }
        if let Some(transport) = Transport::from_name(flag).filter(|t| *t != Transport::Accept) {
            self.transport = Some(transport);
            return true;
        }
        self.codecs.read_flag(flag) || self.attributes.read_flag(flag)
    }

    /// A shorthand for what a browser needs.
    fn read_webrtc(&mut self) {
        self.transport = Some(Transport::UdpTlsRtpSavpf);
        self.ice = Some(Ice::Force);
        self.rtcp_mux
            .insert(RtcpMux::Offer)
            .insert(RtcpMux::Require);
        self.flags
            .insert(Flag::TrickleIce)
            .insert(Flag::NoRtcpAttribute)
            .insert(Flag::GenerateMid);
        self.sdes.flags.insert(super::SdesFlag::Off);
    }

    fn read_ice(&mut self, word: &str) -> bool {
        if let Some(lite) = word::after(word, "lite") {
            self.ice_lite = IceLite::from_name(lite);
            return self.ice_lite.is_some();
        }
        if word::same(word.as_bytes(), b"trickle") {
            self.flags.insert(Flag::TrickleIce);
            return true;
        }
        let ice = Ice::from_name(word);
        self.ice = ice.or(self.ice);
        ice.is_some()
    }

    /// The first name is of the interface towards the sender, the second towards the other side.
    pub(crate) fn read_direction(&mut self, name: &str) -> bool {
        let place = match (&self.from_interface, &self.to_interface) {
            (None, _) => &mut self.from_interface,
            (Some(_), None) => &mut self.to_interface,
            (Some(_), Some(_)) => return false,
        };
        *place = Some(name.to_owned());
        true
    }
}

/// `codec-strip`, or `transcode` alone.
fn codec_rule(key: &str) -> Option<CodecRule> {
    let bare = Some(CodecRule::Transcode).filter(|rule| CodecRule::from_name(key) == Some(*rule));
    bare.or_else(|| CodecRule::from_name(word::after(key, "codec")?))
}

/// The words of an entry, with a place for those that nobody knows.
struct Words<'w> {
    key: &'w str,
    value: &'w Value<'w>,
    unknown: &'w mut Vec<String>,
}

impl Words<'_> {
    fn each(&mut self, mut take: impl FnMut(&str) -> bool) {
        for word in self.value.items() {
            if !take(word) {
                let flag = word::same(self.key.as_bytes(), b"flags");
                self.unknown.push(match flag {
                    true => word.to_owned(),
                    false => format!("{}={word}", self.key),
                });
            }
        }
    }

    fn set<T: Word>(&mut self, known: impl Fn(&str) -> Option<T>, set: &mut Set<T>) {
        self.each(|word| known(word).map(|word| set.insert(word)).is_some());
    }

    /// The last word that means something.
    fn last<T>(&mut self, known: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = self.value.words().last().and_then(known);
        self.checked(found)
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Option<T> {
        let number = self.value.integer().and_then(|n| T::try_from(n).ok());
        self.checked(number)
    }

    fn checked<T>(&mut self, found: Option<T>) -> Option<T> {
        if found.is_none() {
            let said = self.value.bytes().map(String::from_utf8_lossy);
            self.unknown
                .push(format!("{}={}", self.key, said.unwrap_or_default()));
        }
        found
    }
}
