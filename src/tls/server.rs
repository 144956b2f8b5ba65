//! The server's side: connections that have shaken hands. Slow ones hold up others only when there are very many.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::pem::{certificates, key, wrong};

/// Who we are to those who connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// The certificate, with those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The server's side of TLS. An error names the file.
pub fn server(files: &ServerFiles) -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| wrong(&files.certificate, e))?.with_no_client_auth();
    let chain = certificates(&files.certificate)?;
    let mut config = builder.with_single_cert(chain, key(&files.key)?).map_err(|e| wrong(&files.certificate, e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// So many may be under way.
const HANDSHAKES: usize = 256;

/// Connections over TLS, by the configuration that is in force when they come.
pub struct Listener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Listener {
    /// Takes connections of a listener from here on.
    pub fn new(listener: TcpListener, config: watch::Receiver<Arc<ServerConfig>>) -> io::Result<Listener> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(HANDSHAKES);
        tokio::spawn(shake(listener, config, done));
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
    config: watch::Receiver<Arc<ServerConfig>>,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
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
        let (acceptor, done) = (TlsAcceptor::from(Arc::clone(&config.borrow())), done.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    // Who does not listen any more has no use for it.
                    let _ = done.send((stream, from)).await;
                }
                Ok(Err(error)) => tracing::debug!(%from, %error, "a connection did not come to be"),
                Err(_) => tracing::debug!(%from, "a handshake took too long"),
            }
            drop(place);
        });
    }
}
