//! TLS 1.2 and up, with the broker's certificate and name always verified.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::mqtt::Options;

/// Where Debian and its kin keep the authorities the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The client's side of TLS as configured. An error names the file.
pub(crate) fn client(options: &Options) -> io::Result<Arc<ClientConfig>> {
    let authorities = options.ca_file.as_deref().unwrap_or(Path::new(SYSTEM_AUTHORITIES));
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots.add(certificate).map_err(|e| wrong(authorities, e))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| wrong(authorities, e))?.with_root_certificates(roots);
    let config = match (&options.cert_file, &options.key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong(key, e))?;
            builder.with_client_auth_cert(chain, secret).map_err(|e| wrong(certificate, e))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| wrong(path, e))?;
    read.collect::<Result<_, _>>().map_err(|e| wrong(path, e))
}

fn wrong(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
}
