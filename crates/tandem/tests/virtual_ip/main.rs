//! Nodes with a virtual address that keepalived moves between them.

mod calls;
mod cluster;
mod moving;
mod node;
