//! Bindings, their order and expiry, and who pings whom.
