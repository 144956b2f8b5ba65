//! stub
mod options;
pub use options::{Options, Server};
