//! What the HTTP server reads from files - its token, its certificate -, and until when certificates are valid.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::{Daemon, Https};
use crate::daemon::StartError;
use crate::http::{BrokerView, Guard, Look};
use crate::tls::{self, Expiry, Listener, Shown};

/// What is in the files now.
pub(crate) struct Secrets {
    pub guard: Guard,
    shown: Option<Shown>,
}

impl Secrets {
    /// An error names the file.
    pub(crate) fn read(daemon: &Daemon) -> io::Result<Secrets> {
        let guard = Guard::of(daemon.http, daemon.token_file.as_deref())?;
        let shown = daemon.https.as_ref().map(|https| tls::server(&https.files)).transpose()?;
        Ok(Secrets { guard, shown })
    }
}

/// The certificate in use, which another one may replace.
#[derive(Clone)]
pub(crate) struct Secure(watch::Sender<Shown>);

impl Secure {
    /// Listens, if the server is to be reached over TLS.
    pub(crate) async fn listen(
        https: Option<&Https>,
        secrets: &Secrets,
    ) -> Result<Option<(Secure, Listener)>, StartError> {
        let (Some(https), Some(shown)) = (https, &secrets.shown) else {
            return Ok(None);
        };
        let (shown, in_force) = watch::channel(shown.clone());
        let address = https.address;
        let listener = TcpListener::bind(address).await.map_err(|source| StartError::Port { address, source })?;
        Ok(Some((Secure(shown), Listener::new(listener, in_force)?)))
    }

    /// Connections from here on see what was read.
    pub(crate) fn show(&self, secrets: &Secrets) {
        if let Some(shown) = &secrets.shown {
            self.0.send_replace(shown.clone());
        }
    }
}

/// All certificates in use, and until when they are valid.
pub(crate) fn certificates(broker: &Look<BrokerView>, secure: Option<&Secure>) -> Look<Vec<Expiry>> {
    let (broker, own) = (Arc::clone(broker), secure.cloned());
    Arc::new(move || {
        let mut known = broker().certificates;
        let not_after = own.as_ref().map(|Secure(shown)| shown.borrow().not_after);
        known.extend(not_after.map(|not_after| Expiry { what: "our certificate for HTTPS".to_owned(), not_after }));
        known
    })
}
