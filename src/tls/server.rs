//! The server's side: who we are to those who connect.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::tls::pem::{UNREADABLE, certificates, expires, key, wrong};

/// Who we are to those who connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// The certificate, with those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What the server shows to those who connect.
#[derive(Clone, Debug)]
pub struct Shown {
    /// By which it shakes hands.
    pub config: Arc<ServerConfig>,
    /// Until when its certificate is valid, in seconds of Unix time.
    pub not_after: i64,
}

/// The server's side of TLS. An error names the file.
pub fn server(files: &ServerFiles) -> io::Result<Shown> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| wrong(&files.certificate, e))?.with_no_client_auth();
    let chain = certificates(&files.certificate)?;
    let not_after = chain.first().and_then(expires).ok_or_else(|| wrong(&files.certificate, UNREADABLE))?;
    let mut config = builder.with_single_cert(chain, key(&files.key)?).map_err(|e| wrong(&files.certificate, e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Shown { config: Arc::new(config), not_after })
}
