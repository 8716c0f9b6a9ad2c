//! The generators: one thread, batched system calls, no more work per message than needed, so
//! that the server is what gets measured.

pub(crate) mod batch;
pub(crate) mod calls;
pub(crate) mod latency;
pub(crate) mod message;
pub(crate) mod nodes;
pub(crate) mod register;
pub(crate) mod rtp;
pub(crate) mod speech;
pub(crate) mod uac;
pub(crate) mod uas;
pub(crate) mod voice;
