//! What a call wants of the relay, in the words of the embedded one.

use call::Given;
use media::{
    CodecChanges, Feedback, Ice, IceAgent, IceRestart, KeyForm, Options, RtcpMux, Transport,
};
use switch::{Carriage, MediaRequest, MediaTerms, Rtcp};

/// The options of a request; `agent` is what ICE is spoken by.
pub(crate) fn of(request: &MediaRequest, agent: IceAgent) -> Options {
    let terms = MediaTerms::of(request);
    let restart = match terms.given {
        Given::InTurn | Given::Elsewhere => IceRestart::Wanted,
        Given::ToOurOffer => IceRestart::Answered,
    };
    if request.op != call::MediaOp::Offer {
        return Options {
            restart,
            ..Options::default()
        };
    }
    Options {
        transport: transport(terms.carriage),
        ice: match terms.ice {
            switch::Ice::None => Ice::Remove,
            switch::Ice::Lite => agent.into(),
        },
        rtcp_mux: match terms.rtcp {
            Rtcp::AsOffered => RtcpMux::AsOffered,
            Rtcp::Own => RtcpMux::Demux,
            Rtcp::Shared => RtcpMux::Offer,
            Rtcp::SharedOnly => RtcpMux::Require,
        },
        codecs: CodecChanges {
            transcode: terms.transcode.into_iter().map(str::to_owned).collect(),
            ..CodecChanges::default()
        },
        restart,
        own_keys: form(request.ends.toward.author_keys),
        keys: form(request.ends.toward.keys),
        ..Options::default()
    }
}

fn form(keys: call::Keys) -> KeyForm {
    match keys {
        call::Keys::Events => KeyForm::Events,
        call::Keys::Tones => KeyForm::Tones,
        call::Keys::Messages => KeyForm::Messages,
    }
}

fn transport(carriage: Carriage) -> Transport {
    let feedback = |feedback| match feedback {
        switch::Feedback::Without => Feedback::Without,
        switch::Feedback::With => Feedback::With,
    };
    match carriage {
        Carriage::AsOffered => Transport::AsOffered,
        Carriage::Rtp(wish) => Transport::Rtp(feedback(wish)),
        Carriage::Opportunistic => Transport::Opportunistic,
        Carriage::Sdes(wish) => Transport::Sdes(feedback(wish)),
        Carriage::Dtls(wish) => Transport::Dtls(feedback(wish)),
    }
}
