//! How the broker is reached: address, encryption, user and password.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::time::Duration;

use rumqttc::{MqttOptions, TlsConfiguration, Transport};

use crate::mqtt::Options;
use crate::tls::{self, Expiry, Files, Seen, expires_of_file};

/// The largest packet MQTT knows. A packet the client refuses to read would come back with every reconnect, so all are
/// read, and a payload over `max_packet` is cut and refused by the pipeline.
const PACKET_MAX: usize = 268_435_455;
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// An error: a secret or a certificate cannot be read.
pub(crate) fn connection(options: &Options, client_id: String, seen: &Seen) -> io::Result<MqttOptions> {
    let mut mqtt = MqttOptions::new(client_id, options.server.host.clone(), options.server.port);
    mqtt.set_keep_alive(KEEP_ALIVE);
    mqtt.set_max_packet_size(PACKET_MAX, PACKET_MAX);
    if options.server.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls::client(files(options), seen)?)));
    }
    if let Some(user) = &options.username {
        mqtt.set_credentials(user, password(options)?);
    }
    Ok(mqtt)
}

/// Whether the secrets and certificates can be read, as the next connection will. An error names the file.
pub fn readable(options: &Options) -> io::Result<()> {
    connection(options, String::new(), &Seen::default()).map(drop)
}

/// Beside the session: what the broker shows now is noted, as at a connection.
pub(crate) async fn look(options: &Options, seen: &Seen) -> io::Result<()> {
    tls::look((&options.server.host, options.server.port), files(options), seen).await
}

/// Ours and the broker's, and until when they are valid.
pub(crate) fn expiries(options: &Options, seen: &Seen) -> Vec<Expiry> {
    let own = options.cert_file.as_ref().and_then(|path| expires_of_file(path).ok());
    let known = [("the broker's certificate", seen.not_after()), ("our certificate for the broker", own)];
    let expiry = |(what, not_after): (&str, Option<i64>)| Some(Expiry { what: what.to_owned(), not_after: not_after? });
    known.into_iter().filter_map(expiry).collect()
}

fn files(options: &Options) -> Files<'_> {
    Files {
        authorities: options.ca_file.as_ref(),
        certificate: options.cert_file.as_ref(),
        key: options.key_file.as_ref(),
    }
}

/// A print of all secrets and certificates as they are in their files: another one needs another connection.
pub(crate) fn print(options: &Options) -> u64 {
    let files = [&options.password_file, &options.ca_file, &options.cert_file, &options.key_file];
    let mut hasher = DefaultHasher::new();
    for path in files.into_iter().flatten() {
        std::fs::read(path).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

fn password(options: &Options) -> io::Result<String> {
    let Some(path) = &options.password_file else {
        return Ok(String::new());
    };
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|e| io::Error::new(e.kind(), format!("the MQTT password file {}: {e}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
