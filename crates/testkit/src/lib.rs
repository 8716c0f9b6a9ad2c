//! Drives the real program and real peers in tests.
//!
//! A test starts a [`Platform`], phones ([`Baresip`]), scripted peers ([`Sipp`]) and, for odd
//! flows, a hand-written [`Peer`]. Everything lives in temporary directories and on ports of
//! its own ([`ports`]), and ends with the value that holds it. What takes time is waited for
//! with [`wait_for`], nowhere else.
//!
//! The message reader here is not the product's own, on purpose: a mistake in one shall not
//! hide the same mistake in the other.

mod audio;
mod authority;
mod baresip;
mod browser;
mod command_line;
mod dialog;
mod digest;
mod dispatcher;
mod drachtio;
mod family;
mod fault_proxy;
mod hand_phone;
mod interpreter;
mod kamailio;
mod mail_server;
mod media_server;
mod message;
mod mirror;
mod name_server;
mod netns;
mod npm;
mod oidc_provider;
mod panel_tests;
mod pebble;
mod peer;
mod platform;
pub mod ports;
mod postgres;
mod program;
mod provision;
mod redis;
mod relay_server;
mod request;
mod rest;
mod rtpengine;
mod s3_server;
mod singer;
mod sipp;
mod stream_peer;
mod talkers;
mod tunnel;
mod wait;
mod wire;

pub use audio::{
    decode_opus, dominant_frequency_hz, from_alaw, read_wav, to_alaw, tone, write_alaw, write_wav,
};
pub use authority::{Authority, Pair};
pub use baresip::{Baresip, Event, MediaEncryption, PhoneOptions, PhoneTransport};
pub use browser::Browser;
pub use command_line::CommandOutput;
pub use dialog::Dialog;
pub use digest::{Credentials, authorization};
pub use dispatcher::Dispatcher;
pub use drachtio::{Drachtio, DrachtioClient};
pub use family::family;
pub use fault_proxy::{FaultProxy, Line};
pub use interpreter::Interpreter;
pub use kamailio::Kamailio;
pub use mail_server::{Mail, MailServer};
pub use media_server::MediaServer;
pub use message::Message;
pub use mirror::{Heard, Mirror};
pub use name_server::{KEY_NAME, NameServer, ZONE};
pub use netns::{Host, Network, cable};
pub use oidc_provider::{OIDC_CLIENT, OIDC_SECRET, OidcProvider, Visited, Visitor};
pub use panel_tests::PanelTests;
pub use pebble::Pebble;
pub use peer::{Peer, session};
pub use platform::{Platform, PlatformOptions, Ready, ReadySip, ReadyUser};
pub use postgres::PostgresServer;
pub use program::{HungThread, Program};
pub use provision::{GatewaySpec, record_path};
pub use redis::{RedisMonitor, RedisSentinel, RedisServer};
pub use relay_server::RelayServer;
pub use rest::Rest;
pub use rtpengine::Rtpengine;
pub use s3_server::S3Server;
pub use singer::Singer;
pub use sipp::{SIPP_TONE_HZ, Sipp, SippCounts};
pub use stream_peer::StreamPeer;
pub use talkers::{Speech, Talkers};
pub use tunnel::Tunnel;
pub use wait::{PATIENCE, wait_for, wait_for_within};
pub use wire::Wire;
