//! The server's side: connections that have shaken hands. Slow ones hold up others only when they are many and of many addresses.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

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
    config: Arc<ServerConfig>,
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

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// So many may be under way,
const HANDSHAKES: usize = 256;
/// and so many of one address.
const HANDSHAKES_OF_ONE: usize = 32;

/// Connections over TLS, by the configuration that is in force when they come.
pub struct Listener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Listener {
    /// Takes connections of a listener from here on.
    pub fn new(listener: TcpListener, shown: watch::Receiver<Shown>) -> io::Result<Listener> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(HANDSHAKES);
        tokio::spawn(shake(listener, shown, done));
        Ok(Listener { address, ready })
    }

    /// The next connection.
    pub async fn next(&mut self) -> (TlsStream<TcpStream>, SocketAddr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The other end lives as long as the runtime.
            None => std::future::pending().await,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn shake(
    listener: TcpListener,
    shown: watch::Receiver<Shown>,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let (places, sources) = (Arc::new(Semaphore::new(HANDSHAKES)), Sources::default());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (stream, from) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Too many files are open: others close by and by.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            },
            () = done.closed() => return,
        };
        let Some(seat) = sources.seat(from.ip()) else {
            tracing::debug!(%from, "too many of its handshakes are under way");
            continue;
        };
        let (acceptor, done) = (TlsAcceptor::from(Arc::clone(&shown.borrow().config)), done.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    // Who does not listen any more has no use for it.
                    let _ = done.send((stream, from)).await;
                }
                Ok(Err(error)) => tracing::debug!(%from, %error, "a connection did not come to be"),
                Err(_) => tracing::debug!(%from, "a handshake took too long"),
            }
            drop((place, seat));
        });
    }
}

/// How many handshakes each source has under way: nobody takes all places.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A handshake under way.
struct Seat(Sources, IpAddr);

impl Sources {
    /// `None`: it has as many as it may.
    fn seat(&self, from: IpAddr) -> Option<Seat> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(from).or_default();
        if *count >= HANDSHAKES_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Seat(self.clone(), from))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.1) {
            *count -= 1;
        }
        taken.retain(|_, count| *count > 0);
    }
}
