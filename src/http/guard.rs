//! Who may read and change something over HTTP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::problem::Problem;
use crate::secret;

/// Who may change something.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Whoever shows this token.
    Token(String),
    /// Whoever is on this machine: the server listens nowhere else.
    Loopback,
    /// Nobody.
    Closed,
}

impl Guard {
    /// By the token of a file, or by where the server listens. An error names the file.
    pub fn of(address: SocketAddr, token_file: Option<&Path>) -> io::Result<Guard> {
        let Some(path) = token_file else {
            return Ok(if address.ip().is_loopback() { Guard::Loopback } else { Guard::Closed });
        };
        secret::token("the HTTP token file", path).map(Guard::Token)
    }

    /// Whoever reads from elsewhere over TLS shows the token too; a browser asks for it as a password, for any user.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Guard::Token(token) = self else {
            return Err(Problem::Denied(StatusCode::FORBIDDEN, "set daemon.token_file"));
        };
        let of_browser = || after(headers, "basic").and_then(password);
        let shown = shown(headers).map(str::to_owned).or_else(of_browser);
        let is_known = shown.is_some_and(|shown| is_same(shown.as_bytes(), token.as_bytes()));
        is_known.then_some(()).ok_or(Problem::Unknown)
    }

    /// `Err`: what is missing.
    pub(crate) fn allows(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let (allowed, code, help) = match self {
            Guard::Token(token) => {
                let same = shown(headers).is_some_and(|shown| is_same(shown.as_bytes(), token.as_bytes()));
                (
                    same,
                    StatusCode::UNAUTHORIZED,
                    "send the token of daemon.token_file: Authorization: Bearer ..., or X-Emissiond-Token",
                )
            }
            // A page of elsewhere whose name leads here is not of this machine, nor is whoever comes through a proxy.
            Guard::Loopback => {
                let here = text(header::HOST).is_some_and(is_this_machine);
                let is_passed_on = PASSED_ON.iter().any(|name| headers.contains_key(*name));
                let help = "ask for it by a loopback address and without a proxy, or set daemon.token_file";
                (here && !is_passed_on, StatusCode::FORBIDDEN, help)
            }
            Guard::Closed => {
                let help = "changes need a token where the server listens beyond this machine: set daemon.token_file";
                (false, StatusCode::FORBIDDEN, help)
            }
        };
        allowed.then_some(()).ok_or(Problem::Denied(code, help))
    }
}

/// Another way to show the token, where a proxy has its own use for `Authorization`. No page of elsewhere can send it.
const TOKEN: HeaderName = HeaderName::from_static("x-emissiond-token");

/// What proxies say of whom they ask for.
const PASSED_ON: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

/// What follows a scheme of `Authorization`.
fn after<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (found, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(rest.trim_start())
}

/// The token that is shown.
fn shown(headers: &HeaderMap) -> Option<&str> {
    after(headers, "bearer").or_else(|| headers.get(TOKEN)?.to_str().ok())
}

/// Of `user:password` in base64.
fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| host.parse::<IpAddr>());
    address.is_ok_and(|ip| ip.is_loopback()) || host.split(':').next() == Some("localhost")
}

/// In a time that does not tell how much is right.
fn is_same(shown: &[u8], token: &[u8]) -> bool {
    shown.len() == token.len() && shown.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
