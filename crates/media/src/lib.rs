//! RTP ports, the relay, echo, and per-leg statistics.
