//! The engine on real UDP sockets, with peers and attackers on the same machine.
//!
//! That a packet does not arrive is shown by one sent after it on the same path that does.

mod attack;
mod bundle;
mod bundle_offered;
mod echo;
mod negotiation;
mod peer;
mod play;
mod ports;
mod quality;
mod reasons;
mod recording;
mod recording_opus;
mod recording_ways;
mod relay;
mod reports;
mod secure;
mod secure_peer;
mod splice;
mod subscribe;
mod traffic_class;
mod transcode;
mod trickle;
