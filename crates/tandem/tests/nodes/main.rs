//! A platform of several machines: one is control, the others have joined it.

mod calls;
mod control;
mod edge_drains;
mod edge_media;
mod edges;
mod joining;
mod looks;
mod recordings;
mod restarts;
mod strangers;
mod traces;
