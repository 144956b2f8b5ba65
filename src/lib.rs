//! map to come
pub mod quantity;
pub mod cluster;
pub mod decode;
pub mod meter;
pub mod window;
pub mod factor;
pub mod emission;
pub mod ledger;
pub mod pipeline;
pub mod mqtt;
pub mod influx;
pub mod config;
pub mod format;
pub mod cli;
pub mod store;
pub mod clock;
