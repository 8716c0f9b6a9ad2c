//! Flags: words of the `flags` list that stand alone.

use crate::word::words;

words! {
    /// A flag of a request. Those of rtpengine that change nothing anywhere but in its own
    /// configuration are here, too: a proxy's script may send them to any server.
    Flag {
        /// The addresses in the description are believed; the default.
        TrustAddress = "trust-address",
        /// The address that the SIP message came from is used instead of the description's.
        SipSourceAddress = "SIP-source-address",
        /// Addresses are learned from packets; the default.
        Symmetric = "symmetric",
        /// Nothing is learned: packets go where the description says.
        Asymmetric = "asymmetric",
        /// Only packets of the learned source pass.
        StrictSource = "strict-source",
        /// The source may change at any time.
        MediaHandover = "media-handover",
        /// Ports stay although the peer's change.
        PortLatching = "port-latching",
        /// Ports change with the peer's.
        NoPortLatching = "no-port-latching",
        /// Each codec offered is accepted and transcoded.
        AlwaysTranscode = "always-transcode",
        /// A subscription may be transcoded.
        AllowTranscoding = "allow-transcoding",
        /// Payload types of offer and answer may differ.
        AsymmetricCodecs = "allow-asymmetric-codecs" | "asymmetric-codecs" | "allow-asymmetric-codec",
        /// The answer keeps its first codec alone.
        SingleCodec = "single-codec",
        /// Codecs once chosen stay.
        ReuseCodecs = "reuse-codecs" | "no-codec-renegotiation",
        /// The other side's codecs do not follow a new offer.
        StaticCodecs = "static-codecs",
        /// A medium without codecs is refused.
        AllowNoCodecMedia = "allow-no-codec-media" | "allow-empty-codec-media",
        /// DTMF may be played into the call.
        InjectDtmf = "inject-DTMF",
        /// In-band DTMF is looked for.
        DetectDtmf = "detect-DTMF",
        /// DTMF is blocked from the start.
        BlockDtmf = "block-DTMF",
        /// Other media is held back while something is played.
        BlockEgress = "block-egress",
        /// Packets that are too short are dropped.
        BlockShort = "block-short" | "block-short-packets" | "block-shorts",
        /// RTCP is made here instead of passed on.
        GenerateRtcp = "generate-RTCP",
        /// `a=mid` is added.
        GenerateMid = "generate-mid",
        /// The call is recorded.
        RecordCall = "record-call",
        /// This participant is not recorded.
        ExcludeRecording = "exclude-recording",
        /// What was recorded is thrown away.
        DiscardRecording = "discard-recording",
        /// Nothing of the recording goes to a database.
        SkipRecordingDb = "skip-recording-db",
        /// RTCP of a subscriber goes back to the source.
        RtcpMirror = "RTCP-mirror" | "mirror-RTCP",
        /// Trickled candidates are offered (RFC 8840).
        TrickleIce = "trickle-ICE",
        /// New ICE credentials answer ours and restart nothing; of our own making.
        KeepIce = "tandem-keep-ICE",
        /// What is played waits as long as the other side sends voice; of our own making.
        OverSilence = "tandem-over-silence",
        /// Offered ICE is refused.
        RejectIce = "reject-ICE" | "ICE-reject",
        /// The description is a fragment with candidates.
        Fragment = "fragment",
        /// A description that was here before is left alone.
        LoopProtect = "loop-protect",
        /// `a=rtcp` is left out.
        NoRtcpAttribute = "no-rtcp-attribute",
        /// `a=rtcp` has the address, too.
        FullRtcpAttribute = "full-rtcp-attribute",
        /// Directions stay as they came; always so here.
        OriginalSendrecv = "original-sendrecv",
        /// The subscription is offered inactive.
        Inactive = "inactive",
        /// Nothing is sent to a peer that has not sent.
        NatWait = "NAT-wait",
        /// Empty packets open the peer's NAT.
        PierceNat = "pierce-NAT",
        /// An unknown to-tag is another branch.
        NewBranch = "new-branch",
        /// A tag may change after a final response.
        Provisional = "provisional",
        /// What was learned of the other side is forgotten.
        Reset = "reset",
        /// Media flows both ways.
        Bidirectional = "bidirectional",
        /// One-way media may take the fast path.
        Unidirectional = "unidirectional",
        /// The from-tag selects.
        Directional = "directional",
        /// All participants.
        All = "all",
        /// An unknown call is an error.
        Fatal = "fatal",
        /// No statistics in the reply.
        Fast = "fast",
        /// The to-tag is honoured by `delete`.
        ToTag = "to-tag",
        /// A recorder subscribes (RFC 7866).
        Siprec = "SIPREC",
        /// Stopping a recording pauses it.
        Pause = "pause",
        /// Sources of a kind share one medium.
        Mix = "mix" | "mixed",
        /// Prompts may begin before the answer.
        EarlyMedia = "early-media",
        /// Every SRTP packet is decrypted and encrypted again.
        Recrypt = "recrypt",
        /// Each packet is transcoded, though the codecs be the same.
        ForceTranscoding = "force-transcoding",
        /// `a=tls-id` is left out.
        NoTlsId = "no-tls-id",
        /// Keys in `a=crypto` are padded.
        PadCrypto = "pad-crypto",
        /// Everything is logged.
        Debug = "debug" | "debugging",
        /// The server's database is left alone.
        NoRedisUpdate = "no-redis-update",
    }
}

words! {
    /// What of the description's own fields is replaced.
    Replace {
        /// The address in `o=`.
        Origin = "origin",
        /// All of `o=`.
        OriginFull = "origin-full",
        /// `c=`; always so here.
        SessionConnection = "session-connection",
        /// `s=`.
        SessionName = "session-name",
        /// The version in `o=` follows our own changes.
        SdpVersion = "SDP-version",
        /// The user name in `o=`.
        Username = "username",
        /// An unspecified address becomes ours.
        ZeroAddress = "zero-address",
        /// The version in `o=` rises always.
        ForceIncrementSdpVersion = "force-increment-sdp-ver",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_are_read_and_one_is_written() {
        for name in ["trust-address", "trust address", "Trust_Address"] {
            assert_eq!(Flag::from_name(name), Some(Flag::TrustAddress));
        }
        assert_eq!(Flag::from_name("ICE-reject"), Some(Flag::RejectIce));
        assert_eq!(Flag::RejectIce.name(), "reject-ICE");
        assert_eq!(Flag::from_name("trustaddress"), None);
    }

    #[test]
    fn no_two_flags_share_a_bit() {
        let all: crate::Set<Flag> = Flag::ALL.iter().copied().collect();
        assert_eq!(all.iter().count(), Flag::ALL.len());
        assert!(Flag::ALL.len() <= 128);
    }
}
