//! SIP over UDP, TCP, TLS and WebSocket, RFC 3263 resolution, and the drive loop.
