//! The back-to-back user agent: legs, bridge, transfer, timers.
