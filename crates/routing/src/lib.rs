//! Which way a call goes, and why.
