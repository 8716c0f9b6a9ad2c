//! The system calls that the standard library does not offer, each behind a safe function.
//!
//! This is the only module of the crate that may contain `unsafe`.
#![allow(unsafe_code)]

pub(crate) mod icmp;
pub(crate) mod mmsg;
pub(crate) mod option;
