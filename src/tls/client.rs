//! The client's side: whom it trusts, who it is, and what the server showed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::SOON_DAYS;
use crate::tls::pem::{certificates, expires, key, wrong};

/// Where Debian and its kin keep the authorities the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A look that takes longer is given up.
const LOOK: Duration = Duration::from_secs(10);

/// Who is trusted, and who we are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// The authorities; without it, those of the system.
    pub authorities: Option<&'a PathBuf>,
    /// Our certificate,
    pub certificate: Option<&'a PathBuf>,
    /// and its key.
    pub key: Option<&'a PathBuf>,
}

/// What the server of the latest handshake showed.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<AtomicI64>);

impl Seen {
    /// Until when its certificate is valid, in seconds of Unix time. `None`: there was none.
    pub fn not_after(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)
    }

    /// Whether that is worth a word.
    pub fn ends_soon(&self) -> bool {
        let soon = UnixTime::now().as_secs() as i64 + SOON_DAYS * 86_400;
        self.not_after().is_some_and(|end| end < soon)
    }
}

/// The client's side of TLS. An error names the file.
pub fn client(files: Files<'_>, seen: &Seen) -> io::Result<Arc<ClientConfig>> {
    let authorities = files.authorities.map_or(Path::new(SYSTEM_AUTHORITIES), PathBuf::as_path);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots.add(certificate).map_err(|e| wrong(authorities, e))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let verifier = Arc::new(Noting { verifier: verifier.map_err(|e| wrong(authorities, e))?, seen: seen.clone() });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // Its own verifier only notes what the one of the library has verified.
    let builder = builder.map_err(|e| wrong(authorities, e))?.dangerous().with_custom_certificate_verifier(verifier);
    let config = match (files.certificate, files.key) {
        (Some(certificate), Some(secret)) => {
            let chain = certificates(certificate)?;
            builder.with_client_auth_cert(chain, key(secret)?).map_err(|e| wrong(certificate, e))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// Shakes hands with a server and leaves; what it showed is noted, if it is accepted.
pub async fn look((host, port): (&str, u16), files: Files<'_>, seen: &Seen) -> io::Result<()> {
    let (connector, name) = (TlsConnector::from(client(files, seen)?), ServerName::try_from(host.to_owned()));
    let name = name.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let shake = async { connector.connect(name, TcpStream::connect((host, port)).await?).await };
    tokio::time::timeout(LOOK, shake).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(drop)
}

/// Verifies as the library does, and notes until when a certificate that it accepts is valid.
#[derive(Debug)]
struct Noting {
    verifier: Arc<WebPkiServerVerifier>,
    seen: Seen,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        self.seen.0.store(expires(end_entity).unwrap_or(0), Ordering::Relaxed);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
