//! What is read from files of secrets and certificates: by the HTTP server, and whether all of it can be used.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum_server::tls_rustls::RustlsConfig;

use crate::config::{Daemon, Plan};
use crate::http::{BrokerView, Guard, Look};
use crate::influx;
use crate::mqtt;
use crate::tls::{self, Expiry, Shown};

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

/// What is wrong with the files of secrets and certificates that a plan names, as the daemon would read them.
pub fn unfit(plan: &Plan) -> Vec<io::Error> {
    let influx = plan.influx.as_ref().map_or(Ok(()), |influx| influx::token(influx).map(drop));
    let read = [mqtt::readable(&plan.mqtt), influx, Secrets::read(&plan.daemon).map(drop)];
    read.into_iter().filter_map(Result::err).collect()
}

/// The certificate in use, which another one may replace.
#[derive(Clone)]
pub(crate) struct Secure {
    pub config: RustlsConfig,
    not_after: Arc<AtomicI64>,
}

impl Secure {
    /// `None`: the server is not to be reached over TLS.
    pub(crate) fn of(secrets: &Secrets) -> Option<Secure> {
        let shown = secrets.shown.as_ref()?;
        let config = RustlsConfig::from_config(Arc::clone(&shown.config));
        Some(Secure { config, not_after: Arc::new(AtomicI64::new(shown.not_after)) })
    }

    /// Connections from here on see what was read.
    pub(crate) fn show(&self, secrets: &Secrets) {
        if let Some(shown) = &secrets.shown {
            self.config.reload_from_config(Arc::clone(&shown.config));
            self.not_after.store(shown.not_after, Ordering::Relaxed);
        }
    }
}

/// All certificates in use, and until when they are valid.
pub(crate) fn certificates(broker: &Look<BrokerView>, secure: Option<&Secure>) -> Look<Vec<Expiry>> {
    let (broker, own) = (Arc::clone(broker), secure.cloned());
    Arc::new(move || {
        let mut known = broker().certificates;
        let not_after = own.as_ref().map(|own| own.not_after.load(Ordering::Relaxed));
        known.extend(not_after.map(|not_after| Expiry { what: "our certificate for HTTPS".to_owned(), not_after }));
        known
    })
}
