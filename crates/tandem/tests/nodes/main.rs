//! A platform of several machines: one is control, the others have joined it.

mod control;
mod joining;
mod recordings;
mod strangers;
