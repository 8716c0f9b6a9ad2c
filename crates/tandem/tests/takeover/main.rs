//! Calls outlive their switch: a dispatcher, switches that share PostgreSQL and Redis, and media on a
//! server of its own; then the switch that has the calls is killed.

mod answered;
mod by_hand;
mod carriers;
mod cluster;
mod doubt;
mod midway;
mod ringing;
mod slow_store;
mod streams;
mod unheard;
