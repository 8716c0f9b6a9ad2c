//! Drives real peers and the real binary in tests.
