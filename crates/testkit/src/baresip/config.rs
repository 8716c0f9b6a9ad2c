//! The files baresip reads at its start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};

use super::speaker;
use crate::authority::Pair;
use crate::{audio, ports};

/// Over what a phone speaks to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the transport it names")]
pub enum PhoneTransport {
    Udp,
    Tcp,
    Tls,
}

impl PhoneTransport {
    fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// How a phone protects its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEncryption {
    /// Keys in the description, or no call.
    Sdes,
    /// Keys in the description, if the other side has them, too.
    SdesIfPossible,
    /// Keys by DTLS, or no call.
    Dtls,
}

impl MediaEncryption {
    fn name(self) -> &'static str {
        match self {
            Self::Sdes => "srtp-mand",
            Self::SdesIfPossible => "srtp",
            Self::Dtls => "dtls_srtp",
        }
    }
}

/// How to start a phone.
#[derive(Clone, Debug)]
pub struct PhoneOptions {
    name: String,
    domain: String,
    password: String,
    server: Option<(SocketAddr, PhoneTransport)>,
    tone_hz: u32,
    encryption: Option<MediaEncryption>,
    address: Ipv4Addr,
    ear: Ear,
    certificate: Option<Pair>,
    flow: Flow,
    addresses: Addresses,
}

/// Where a test hears what a phone hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ear {
    /// In a recording behind the decoder, without a jitter buffer before it.
    Recording,
    /// At the end of all, with baresip's usual buffers before it.
    Speaker,
}

/// How a phone tells where its media is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    Described,
    Ice,
}

/// What a phone makes of its connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Its way for requests.
    Unnamed,
    /// A flow of RFC 5626, with a number and the phone's instance.
    Outbound,
}

impl PhoneOptions {
    /// A phone without a server, for `name@domain`.
    #[must_use]
    pub fn new(name: &str, domain: &str) -> Self {
        Self {
            name: name.to_owned(),
            domain: domain.to_owned(),
            password: String::new(),
            server: None,
            tone_hz: 440,
            encryption: None,
            address: Ipv4Addr::LOCALHOST,
            ear: Ear::Recording,
            certificate: None,
            flow: Flow::Unnamed,
            addresses: Addresses::Described,
        }
    }

    /// The server it registers with and sends all requests to.
    #[must_use]
    pub fn server(mut self, address: SocketAddr, transport: PhoneTransport) -> Self {
        self.server = Some((address, transport));
        self
    }

    /// Its password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    /// How it protects its media; not at all if not said.
    #[must_use]
    pub fn encryption(mut self, encryption: MediaEncryption) -> Self {
        self.encryption = Some(encryption);
        self
    }

    /// Speaks ICE. It names no candidate on loopback: it needs an address of its own.
    #[must_use]
    pub fn ice(mut self) -> Self {
        self.addresses = Addresses::Ice;
        self
    }

    /// Registers as RFC 5626 says, and looks after its connection.
    #[must_use]
    pub fn outbound(mut self) -> Self {
        self.flow = Flow::Outbound;
        self
    }

    /// What it shows to a server that asks for a certificate.
    #[must_use]
    pub fn certificate(mut self, shown: &Pair) -> Self {
        self.certificate = Some(shown.clone());
        self
    }

    /// Where it is; on this machine's loopback if not said.
    #[must_use]
    pub fn address(mut self, address: Ipv4Addr) -> Self {
        self.address = address;
        self
    }

    /// The tone it plays into its calls; 440 Hz if not said. A multiple of 20.
    #[must_use]
    pub fn tone_hz(mut self, frequency_hz: u32) -> Self {
        self.tone_hz = frequency_hz;
        self
    }

    /// It is heard where it plays, so on hold as well, where a recording ends.
    #[must_use]
    pub fn speaker(mut self) -> Self {
        self.ear = Ear::Speaker;
        self
    }

    pub(super) fn has_speaker(&self) -> bool {
        self.ear == Ear::Speaker
    }

    pub(super) fn sip_address(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.address, port))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The account as baresip writes it.
    pub(super) fn account(&self) -> String {
        let Self {
            name,
            domain,
            password,
            ..
        } = self;
        let mut account = format!("<sip:{name}@{domain}");
        match self.server {
            None => account.push_str(">;regint=0"),
            Some((address, transport)) => {
                let transport = transport.name();
                account.push_str(&format!(
                    ";transport={transport}>;auth_user={name};auth_pass={password};\
                     outbound=\"sip:{address};transport={transport}\";regint=60"
                ));
            }
        }
        account.push_str(";audio_codecs=pcmu,pcma");
        if self.flow == Flow::Outbound {
            account.push_str(";sipnat=outbound");
        }
        if self.addresses == Addresses::Ice {
            account.push_str(";medianat=ice");
        }
        if let Some(encryption) = self.encryption {
            account.push_str(&format!(";mediaenc={}", encryption.name()));
        }
        account
    }
}

/// The ports a phone was given.
pub(super) struct Ports {
    pub(super) sip: u16,
    pub(super) control: u16,
}

/// Writes configuration and tone into the phone's directory.
pub(super) fn write(options: &PhoneOptions, directory: &Path) -> Result<Ports> {
    // SIP over TLS sits on the port above that for UDP and TCP.
    let sip = ports::run_of(2);
    let control = ports::one();
    let rtp = ports::run_of(RTP_PORT_COUNT);
    let tone = directory.join("tone.wav");
    audio::write_wav(
        &tone,
        &audio::tone(f64::from(options.tone_hz), TONE_DURATION_S),
    )?;

    let ear = match options.ear {
        Ear::Recording => "jitter_buffer_delay 0-0\nmodule sndfile.so\n".to_owned(),
        Ear::Speaker => speaker::config(),
    };
    // account.so loads after the codecs, or accounts cannot name them.
    let config = format!(
        "poll_method epoll\n\
         sip_listen {address}:{sip}\n\
         net_interface {address}\n\
         audio_source aufile,{tone}\n\
         audio_alert aufile,{tone}\n\
         audio_channels 1\n\
         rtp_ports {rtp}-{rtp_last}\n\
         module_path {MODULES}\n\
         module g711.so\n\
         module srtp.so\n\
         module dtls_srtp.so\n\
         module ice.so\n\
         module aufile.so\n\
         {ear}\
         module_tmp uuid.so\n\
         module_tmp account.so\n\
         module_app menu.so\n\
         module_app ctrl_tcp.so\n\
         ctrl_tcp_listen 127.0.0.1:{control}\n\
         snd_path {directory}\n",
        address = options.address,
        tone = tone.display(),
        rtp_last = rtp + RTP_PORT_COUNT - 1,
        directory = directory.display(),
    );
    let config = match &options.certificate {
        Some(pair) => {
            // Both are read from one file.
            let shown = directory.join("certificate.pem");
            let text = [pair.certificate.as_str(), &pair.key].concat();
            std::fs::write(&shown, text).context("writing the certificate")?;
            format!("{config}sip_certificate {}\n", shown.display())
        }
        None => config,
    };
    std::fs::write(directory.join("config"), config).context("writing the configuration")?;
    // Empty: the account is made over the control port, where its events are seen.
    std::fs::write(directory.join("accounts"), "").context("writing the accounts")?;
    Ok(Ports { sip, control })
}

const MODULES: &str = "/usr/lib/baresip/modules";
const RTP_PORT_COUNT: u16 = 20;
/// It begins anew at its end only in newer versions: long enough for any test.
const TONE_DURATION_S: f64 = 120.0;
