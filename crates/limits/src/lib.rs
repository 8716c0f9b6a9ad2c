//! The hierarchy of calls-per-second and channel permits.
