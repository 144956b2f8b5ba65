//! TLS 1.2 and up by one provider: who is trusted, who we are, and until when certificates are valid. Names and certificates
//! of servers are always verified.

mod client;
mod pem;
mod server;

pub use client::{Files, Seen, client, look};
pub use pem::expires_of_file;
pub use server::{ServerFiles, Shown, server};

/// A certificate that ends so soon is worth a word,
pub const SOON_DAYS: i64 = 30;
/// and so soon an alarm.
pub const VERY_SOON_DAYS: i64 = 7;

/// A certificate, and until when it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Whose.
    pub what: String,
    /// Seconds of Unix time.
    pub not_after: i64,
}
