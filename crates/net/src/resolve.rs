//! From a URI to addresses: RFC 3263, with RFC 2782 for SRV.

/// Why a host gave no targets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The host is neither an address nor a possible domain name.
    #[error("not a host name")]
    Malformed,
    /// The scheme is `sips`, and the transport asked for is not encrypted.
    #[error("no encrypted form of this transport")]
    NotSecure,
    /// The name does not exist or has no usable records.
    #[error("no such host")]
    NotFound,
    /// The name servers answered with an error.
    #[error("the name servers failed")]
    ServerFailed,
    /// The name servers did not answer in time.
    #[error("the name servers did not answer in time")]
    TimedOut,
    /// Too many questions are under way.
    #[error("too many resolutions under way")]
    Busy,
}

/// Answers the shard's questions.
#[derive(Debug)]
pub(crate) struct Resolver;

impl Resolver {
    /// The answer if it needs no waiting; else it comes as an event.
    pub(crate) fn resolve(
        &mut self,
        _id: u64,
        query: crate::drive::ResolveQuery,
    ) -> Option<Result<sip::Targets, ResolveError>> {
        let transport = query.transport.unwrap_or(sip::Transport::Udp);
        let port = query.port.unwrap_or(transport.default_port());
        let answer = query
            .host
            .parse()
            .map(|ip: std::net::IpAddr| {
                let remote = std::net::SocketAddr::new(ip, port);
                [sip::Target { transport, remote }].into_iter().collect()
            })
            .map_err(|_| ResolveError::NotFound);
        Some(answer)
    }
}
