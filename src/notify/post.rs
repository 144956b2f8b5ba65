//! HTTP POST to one address.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::notify::queue::Failed;
use crate::secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Post {
    url: String,
    token_file: Option<PathBuf>,
    client: reqwest::Client,
}

impl Post {
    pub(crate) fn new(url: &str, token_file: Option<&PathBuf>) -> io::Result<Post> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(io::Error::other)?;
        Ok(Post { url: url.to_owned(), token_file: token_file.cloned(), client })
    }

    pub(crate) async fn json(&self, key: Option<&str>, body: &Value) -> Result<(), Failed> {
        self.text(key, "application/json", body.to_string()).await
    }

    /// The path may hold a secret.
    fn server(&self) -> &str {
        let path = self.url.find("://").and_then(|at| Some(at + 3 + self.url.get(at + 3..)?.find('/')?));
        path.and_then(|end| self.url.get(..end)).unwrap_or(&self.url)
    }

    /// A token is read each time: it may have been changed.
    pub(crate) async fn text(&self, key: Option<&str>, content_type: &str, body: String) -> Result<(), Failed> {
        let mut request = self.client.post(&self.url).header("Content-Type", content_type).body(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(path) = &self.token_file {
            let token = secret::token("the token file", path).map_err(|error| Failed::later(error.to_string()))?;
            request = request.bearer_auth(token);
        }
        let failed = |error: reqwest::Error| Failed::later(format!("{}: {}", self.server(), error.without_url()));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        // It will not take this one, however often it is sent.
        let refused = [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY]
            .contains(&status);
        Err(Failed { why: format!("{} answered {status}", self.server()), is_final: refused })
    }
}
