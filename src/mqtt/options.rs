//! What the broker session is told.

use std::path::PathBuf;
use std::sync::Arc;

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// The session with the broker: MQTT 3.1.1, `clean_session = false`, QoS 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The broker.
    pub server: Server,
    /// Stable over restarts; the daemon's own when not given.
    pub client_id: Option<String>,
    /// User name.
    pub username: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The authorities that are trusted; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate.
    pub cert_file: Option<PathBuf>,
    /// The client's key.
    pub key_file: Option<PathBuf>,
    /// A block is committed when this many messages wait for their acknowledgement.
    pub inflight: usize,
    /// Longer payloads are refused, in bytes.
    pub max_packet: usize,
    /// The topic filters.
    pub subscribe: Arc<[String]>,
}

impl Server {
    /// Reads `mqtt://host[:port]` or `mqtts://host[:port]`.
    pub fn parse(url: &str) -> Option<Server> {
        let (scheme, rest) = url.split_once("://")?;
        let (tls, default_port) = match scheme {
            "mqtt" | "tcp" => (false, 1883),
            "mqtts" | "ssl" => (true, 8883),
            _ => return None,
        };
        let rest = rest.trim_end_matches('/');
        let bracketed = rest.strip_prefix('[').and_then(|r| r.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, tail)) => (host, tail.strip_prefix(':')),
            None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(default_port), |p| p.parse().ok())?;
        let plain = !host.is_empty() && !host.contains(['/', '@', ' ']);
        plain.then(|| Server { host: host.to_owned(), port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_urls() {
        let server = |host: &str, port, tls| Some(Server { host: host.to_owned(), port, tls });
        assert_eq!(Server::parse("mqtt://127.0.0.1"), server("127.0.0.1", 1883, false));
        assert_eq!(Server::parse("mqtts://broker.example:9000/"), server("broker.example", 9000, true));
        assert_eq!(Server::parse("mqtt://[::1]:1884"), server("::1", 1884, false));
        for url in ["", "http://x", "mqtt://", "mqtt://user@host", "mqtt://host:port"] {
            assert_eq!(Server::parse(url), None, "{url}");
        }
    }
}
