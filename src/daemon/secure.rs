//! HTTP over TLS, and until when certificates are valid.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Https;
use crate::daemon::StartError;
use crate::http::{BrokerView, Look};
use crate::tls::{self, Expiry, Listener, ServerFiles};

/// The certificate in use, which another one may replace.
pub(crate) struct Secure {
    files: ServerFiles,
    config: watch::Sender<Arc<rustls::ServerConfig>>,
}

impl Secure {
    /// Reads the certificate and its key, and listens.
    pub(crate) async fn listen(https: &Https) -> Result<(Secure, Listener), StartError> {
        let (config, in_force) = watch::channel(tls::server(&https.files)?);
        let address = https.address;
        let listener = TcpListener::bind(address).await.map_err(|source| StartError::Port { address, source })?;
        Ok((Secure { files: https.files.clone(), config }, Listener::new(listener, in_force)?))
    }

    /// Reads them again; connections from here on see them.
    pub(crate) fn reread(&self) -> io::Result<()> {
        self.config.send_replace(tls::server(&self.files)?);
        Ok(())
    }
}

/// All certificates that are known, and until when they are valid.
pub(crate) fn certificates(broker: &Look<BrokerView>, https: Option<&Https>) -> Look<Vec<Expiry>> {
    let (broker, own) = (Arc::clone(broker), https.map(|https| https.files.certificate.clone()));
    Arc::new(move || {
        let mut known = broker().certificates;
        let own = own.as_deref().and_then(|path| tls::expires_of_file(path).ok());
        known.extend(own.map(|not_after| Expiry { what: "our certificate for HTTPS".to_owned(), not_after }));
        known
    })
}
