//! The resources of the API, one file each, with the same name as in model and store.

pub(crate) mod accounts;
pub(crate) mod array;
pub(crate) mod audit;
pub(crate) mod bans;
pub(crate) mod calls;
pub(crate) mod carriers;
pub(crate) mod cdr_export;
pub(crate) mod cdrs;
pub(crate) mod customers;
pub(crate) mod devices;
pub(crate) mod events;
pub(crate) mod gateways;
pub(crate) mod limits;
pub(crate) mod listeners;
pub(crate) mod media_servers;
pub(crate) mod numbers;
pub(crate) mod recordings;
pub(crate) mod registrations;
pub(crate) mod routes;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod system;
pub(crate) mod tokens;
pub(crate) mod user_batch;
pub(crate) mod users;
