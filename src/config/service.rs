//! The sections by which the daemon runs: itself, broker, database, journal, ledger.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::cluster::Level;
use crate::config::checker::Checker;
use crate::config::file::File;
use crate::config::plan::{Daemon, Https, Retention};
use crate::config::problem::Severity;
use crate::config::value;
use crate::decode::Routes;
use crate::influx;
use crate::mqtt;
use crate::quantity::{Span, Window};
use crate::tls::ServerFiles;

/// Beside the configuration.
pub(crate) const DEFAULT_STATE_DIR: &str = "state";
/// For this machine only.
pub(crate) const DEFAULT_HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8077);

impl Checker {
    pub(crate) fn daemon(&mut self, file: &File) -> Daemon {
        let section = &file.daemon;
        let http = section.http.clone().unwrap_or_else(|| DEFAULT_HTTP.to_string());
        let parsed = http.parse::<SocketAddr>();
        if parsed.is_err() {
            self.error(
                "C006",
                &["daemon", "http"],
                format!("`http` is no address: `{http}`; write \"127.0.0.1:8077\""),
            );
        }
        let state_dir = match &section.state_dir {
            Some(written) => self.layers.resolve(&["daemon", "state_dir"], written),
            None => PathBuf::from(DEFAULT_STATE_DIR),
        };
        let token_file = section.token_file.as_ref().map(|w| self.secret(&["daemon", "token_file"], w));
        let is_beyond = parsed.as_ref().is_ok_and(|address| !address.ip().is_loopback());
        if is_beyond && section.insecure != Some(true) {
            let message = format!("the server would listen beyond this machine at {http}, where anybody reads along");
            let help = "for this machine only, write \"127.0.0.1:8077\"; behind a proxy or on a network of your own, \
                        set `insecure = true`, and `token_file` for changes"
                .to_owned();
            self.push("C017", Severity::Error, &["daemon", "http"], message, Some(help));
        }
        let http = parsed.unwrap_or(DEFAULT_HTTP);
        let https = self.https(file);
        Daemon { state_dir, http, token_file, https }
    }

    /// Over TLS changes are for whoever shows the token, so there must be one.
    fn https(&mut self, file: &File) -> Option<Https> {
        let section = &file.daemon;
        let (certificate, key) = (section.cert_file.as_ref(), section.key_file.as_ref());
        let Some(written) = &section.https else {
            for (name, _) in [("cert_file", certificate), ("key_file", key)].iter().filter(|(_, file)| file.is_some()) {
                let message = format!("`{name}` is for `https`, which is not declared; write https = \"0.0.0.0:8443\"");
                self.error("C005", &["daemon", name], message);
            }
            return None;
        };
        let address = written.parse::<SocketAddr>();
        if address.is_err() {
            let message = format!("`https` is no address: `{written}`; write \"0.0.0.0:8443\"");
            self.error("C006", &["daemon", "https"], message);
        }
        let plain = section.http.as_deref().map_or(Some(DEFAULT_HTTP), |http| http.parse().ok());
        let meet = |plain: SocketAddr, tls: SocketAddr| {
            let is_any = plain.ip().is_unspecified() || tls.ip().is_unspecified();
            plain.port() == tls.port() && (plain.ip() == tls.ip() || is_any)
        };
        if let (Some(plain), Ok(tls)) = (plain, &address)
            && meet(plain, *tls)
        {
            let message = format!("`https` is at the port of `http`, {plain}; write another, such as \"0.0.0.0:8443\"");
            self.error("C006", &["daemon", "https"], message);
        }
        let needed = [("cert_file", certificate), ("key_file", key), ("token_file", section.token_file.as_ref())];
        for (name, _) in needed.iter().filter(|(_, file)| file.is_none()) {
            self.missing_for(
                &["daemon", name],
                "https",
                "the certificate, its key, and the token by which others are let in",
            );
        }
        let certificate = self.secret(&["daemon", "cert_file"], certificate?);
        let key = self.secret(&["daemon", "key_file"], key?);
        Some(Https { address: address.ok()?, files: ServerFiles { certificate, key } })
    }

    pub(crate) fn mqtt(&mut self, file: &File, routes: &Routes) -> Option<mqtt::Options> {
        let section = &file.mqtt;
        let url = section.url.clone().unwrap_or_else(|| "mqtt://127.0.0.1:1883".to_owned());
        let server = mqtt::Server::parse(&url);
        if server.is_none() {
            // It may hold a password that should not be there.
            let shown = if url.contains('@') { "…@…" } else { &url };
            let message = format!(
                "`url` is no broker: `{shown}`; write \"mqtt://host:1883\" or \"mqtts://host:8883\", and who you are with `username` and `password_file`"
            );
            self.error("C006", &["mqtt", "url"], message);
        }
        let inflight = section.inflight.unwrap_or(16);
        if !(1..=60_000).contains(&inflight) {
            self.error("C006", &["mqtt", "inflight"], format!("`inflight` is {inflight}; expected 1 to 60000"));
        }
        let max_packet = match &section.max_packet {
            None => 1 << 20,
            Some(text) => value::bytes(text).filter(|n| (1_024..=100 << 20).contains(n)).unwrap_or_else(|| {
                let message = format!("`max_packet` is `{text}`; write a size from \"1 KiB\" to \"100 MiB\"");
                self.error("C006", &["mqtt", "max_packet"], message);
                1 << 20
            }),
        };
        if section.client_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            self.error(
                "C006",
                &["mqtt", "client_id"],
                "`client_id` is empty; leave the key out for one of the daemon's own".to_owned(),
            );
        }
        if section.password_file.is_some() && section.username.is_none() {
            self.missing_for(&["mqtt", "username"], "password_file", "a password needs its user");
        }
        if let (Some(server), Some(_)) = (server.as_ref().filter(|server| !server.tls), &section.password_file) {
            self.in_clear(&["mqtt", "url"], &server.host, "the password");
        }
        for filter in section.subscribe.iter().flatten().filter(|f| !is_filter(f)) {
            let message = format!("`{filter}` is no topic filter: `+` stands for a whole level, `#` for all the rest");
            self.error("C006", &["mqtt", "subscribe"], message);
        }
        if section.ca_file.is_some() && server.as_ref().is_some_and(|s| !s.tls) {
            self.error(
                "C006",
                &["mqtt", "ca_file"],
                "certificates need an encrypted connection: write `mqtts://`".to_owned(),
            );
        }
        if section.cert_file.is_some() != section.key_file.is_some() {
            self.error("C005", &["mqtt", "cert_file"], "`cert_file` and `key_file` are needed together".to_owned());
        }
        let password_file = section.password_file.as_ref().map(|w| self.secret(&["mqtt", "password_file"], w));
        let mut path =
            |key: &'static str, written: &Option<String>| written.as_ref().map(|w| self.secret(&["mqtt", key], w));
        let topics = routes.filters();
        Some(mqtt::Options {
            server: server?,
            client_id: section.client_id.clone(),
            username: section.username.clone(),
            password_file,
            ca_file: path("ca_file", &section.ca_file),
            cert_file: path("cert_file", &section.cert_file),
            key_file: path("key_file", &section.key_file),
            inflight: usize::try_from(inflight).unwrap_or(16),
            max_packet: usize::try_from(max_packet).unwrap_or(1 << 20),
            subscribe: section.subscribe.clone().unwrap_or(topics).into(),
        })
    }

    pub(crate) fn influx(&mut self, file: &File) -> Option<influx::Options> {
        let section = file.influxdb.as_ref()?;
        for (key, value) in [("url", &section.url), ("org", &section.org), ("bucket", &section.bucket)] {
            if value.is_none() {
                self.missing(&["influxdb", key], "without `[influxdb]` the embedded store alone is used");
            }
        }
        let url = section.url.clone().unwrap_or_default();
        if section.url.is_some() && !url.starts_with("http://") && !url.starts_with("https://") {
            self.error("C006", &["influxdb", "url"], format!("`url` is `{url}`; write \"http://127.0.0.1:8086\""));
        }
        let token_file = section.token_file.as_ref().map(|w| self.secret(&["influxdb", "token_file"], w));
        if token_file.is_some() {
            self.web_in_clear(&["influxdb", "url"], &url, "the token");
        }
        Some(influx::Options {
            url,
            org: section.org.clone().unwrap_or_default(),
            bucket: section.bucket.clone().unwrap_or_default(),
            token_file,
            windows: self.influx_windows(&section.windows),
            activity: section.activity.unwrap_or(false),
        })
    }

    fn influx_windows(&mut self, written: &BTreeMap<String, Vec<String>>) -> BTreeMap<Level, Vec<Window>> {
        let all = Window::ALL.to_vec();
        let meter = vec![Window::Quarter, Window::Hour, Window::Day];
        let mut windows: BTreeMap<Level, Vec<Window>> =
            Level::ALL.into_iter().map(|level| (level, all.clone())).collect();
        windows.insert(Level::Meter, meter);
        for (name, list) in written {
            let Some(level) = Level::parse(name) else {
                let allowed = Level::ALL.map(Level::name);
                self.not_one_of(&["influxdb", "windows", name], name, &allowed);
                continue;
            };
            let mut parsed = Vec::new();
            for text in list {
                match Window::parse(text) {
                    Some(window) => parsed.push(window),
                    None => self.not_one_of(&["influxdb", "windows", name], text, &Window::ALL.map(Window::name)),
                }
            }
            windows.insert(level, parsed);
        }
        windows
    }

    pub(crate) fn retention(&mut self, file: &File) -> Retention {
        let journal_max_bytes = match &file.journal.max_bytes {
            None => 20 << 30,
            Some(text) => value::bytes(text).filter(|n| *n >= 1 << 20).unwrap_or_else(|| {
                let message =
                    format!("`max_bytes` is `{text}`; write a size of at least \"1 MiB\", such as \"20 GiB\"");
                self.error("C006", &["journal", "max_bytes"], message);
                20 << 30
            }),
        };
        Retention {
            journal_keep: self.span(&["journal", "keep"], file.journal.keep.as_ref(), Span::days(7)),
            journal_max_bytes,
            keep_activity: self.span(
                &["ledger", "keep_activity"],
                file.ledger.keep_activity.as_ref(),
                Span::days(3_653),
            ),
        }
    }
}

/// Whether text is an MQTT topic filter.
pub(crate) fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    let last = levels.len() - 1;
    let good = |(at, level): (usize, &&str)| match *level {
        "#" => at == last,
        "+" => true,
        other => !other.contains(['#', '+', '\0']),
    };
    !text.is_empty() && levels.iter().enumerate().all(good)
}
