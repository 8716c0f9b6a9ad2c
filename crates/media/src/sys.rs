//! The system calls that the standard library does not offer, each behind a safe function.
//!
//! This is the only module of the crate that may contain `unsafe`: a relay that asks the kernel
//! for one packet at a time through the standard library pays for each of them.
#![allow(unsafe_code)]

pub(crate) mod bpf;
pub(crate) mod interfaces;
pub(crate) mod mmsg;
