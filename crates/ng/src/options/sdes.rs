//! Keys in the description (RFC 4568): the `SDES` list and its flags.

use crate::value::Value;
use crate::word::{self, Set, words};

words! {
    /// A word about keys in the description.
    SdesFlag {
        /// They are not offered.
        Off = "off" | "no" | "disable" | "disabled",
        /// They are preferred to DTLS.
        Prefer = "prefer" | "preferred",
        /// Keys are padded.
        Pad = "pad",
        /// Keys have a lifetime.
        Lifetime = "lifetime",
        /// What was negotiated stays.
        Static = "static",
        /// No suite is added.
        NoNew = "nonew",
        /// RTP is not encrypted.
        UnencryptedSrtp = "unencrypted_srtp",
        /// RTCP is not encrypted.
        UnencryptedSrtcp = "unencrypted_srtcp",
        /// RTP is not authenticated.
        UnauthenticatedSrtp = "unauthenticated_srtp",
        /// RTP is encrypted, though asked otherwise.
        EncryptedSrtp = "encrypted_srtp",
        /// RTCP is encrypted, though asked otherwise.
        EncryptedSrtcp = "encrypted_srtcp",
        /// RTP is authenticated, though asked otherwise.
        AuthenticatedSrtp = "authenticated_srtp",
    }
}

/// How keys in the description are used. Suites are named as in `a=crypto`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sdes {
    /// Words that stand alone.
    pub flags: Set<SdesFlag>,
    /// Suites that are not offered.
    pub no: Vec<String>,
    /// The only suites that are offered, if there are any.
    pub only: Vec<String>,
    /// Which suites come first.
    pub order: Vec<String>,
    /// Which suites are preferred in the answer.
    pub offerer_preference: Vec<String>,
}

impl Sdes {
    /// Reads one word of the list; whether it is known.
    pub(super) fn read_word(&mut self, text: &str) -> bool {
        if let Some(flag) = SdesFlag::from_name(text) {
            self.flags.insert(flag);
            return true;
        }
        let lists = [
            ("no", &mut self.no),
            ("only", &mut self.only),
            ("order", &mut self.order),
            ("offerer_pref", &mut self.offerer_preference),
        ];
        for (prefix, list) in lists {
            let colon = text.split_once(':').filter(|(head, _)| *head == prefix);
            let suites = colon.map(|(_, suites)| suites);
            if let Some(suites) = suites.or_else(|| word::after(text, prefix)) {
                let suites = suites.split(';').filter(|suite| !suite.is_empty());
                list.extend(suites.map(str::to_owned));
                return true;
            }
        }
        false
    }

    pub(super) fn write(&self) -> Option<Value<'static>> {
        let mut words: Vec<String> = self.flags.iter().map(|f| f.name().to_owned()).collect();
        words.extend(self.no.iter().map(|suite| format!("no-{suite}")));
        words.extend(self.only.iter().map(|suite| format!("only-{suite}")));
        for (prefix, list) in [
            ("order", &self.order),
            ("offerer_pref", &self.offerer_preference),
        ] {
            if !list.is_empty() {
                words.push(format!("{prefix}:{}", list.join(";")));
            }
        }
        (!words.is_empty()).then(|| Value::texts(words))
    }
}
