//! One request to the database, and what its answer means for the next.

use std::io::{self, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use influxdb2::api::buckets::ListBucketsRequest;
use influxdb2::{Client, ClientBuilder};
use reqwest::header::{CONTENT_ENCODING, RETRY_AFTER};

use crate::influx::{Database, Options, QueryError, WriteError};
use crate::quantity::Time;
use crate::secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that asks for more patience than this is asked again anyway.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// What is read of an answer that is not good news: enough for a log line.
const BODY_MAX: usize = 4_096;

/// The way to one bucket.
pub struct Bucket {
    client: Client,
    /// The client's errors do not hold the answer's headers, so what must heed `Retry-After` goes by this one.
    http: reqwest::Client,
    write_url: reqwest::Url,
    query_url: reqwest::Url,
    token: String,
    now: fn() -> Time,
}

impl Bucket {
    /// An error: the token cannot be read, or the URL is none.
    pub(crate) fn new(options: &Options, now: fn() -> Time) -> io::Result<Bucket> {
        let invalid = |e: String| io::Error::new(io::ErrorKind::InvalidInput, e);
        // The client panics on a bad URL, so it is checked first.
        let base =
            reqwest::Url::parse(&options.url).map_err(|e| invalid(format!("influxdb.url `{}`: {e}", options.url)))?;
        let below = |path: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
            url
        };
        let (mut write_url, mut query_url) = (below("/api/v2/write"), below("/api/v2/query"));
        query_url.query_pairs_mut().append_pair("org", &options.org);
        let target = [("org", options.org.as_str()), ("bucket", &options.bucket), ("precision", "s")];
        write_url.query_pairs_mut().extend_pairs(target);
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(REQUEST_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
        };
        let token = token(options)?;
        let client = ClientBuilder::with_builder(builder(), &options.url, &options.org, &token).build();
        let http = builder().build().map_err(|e| invalid(e.to_string()))?;
        Ok(Bucket { client: client.map_err(|e| invalid(e.to_string()))?, http, write_url, query_url, token, now })
    }

    /// What the server says it is. An error says why it does not.
    pub(crate) async fn version(&self) -> Result<String, String> {
        let mut url = self.write_url.clone();
        url.set_query(None);
        url.set_path(&url.path().replace("/api/v2/write", "/ping"));
        let response = self.http.get(url).send().await.map_err(without_url)?;
        let header = response.headers().get("X-Influxdb-Version").and_then(|value| value.to_str().ok());
        Ok(header.map_or_else(|| format!("answers {}", response.status()), |version| format!("version {version}")))
    }

    fn with_token(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if self.token.is_empty() {
            return request;
        }
        request.header("Authorization", format!("Token {}", self.token))
    }
}

impl Database for Bucket {
    async fn write(&self, lines: &str) -> Result<(), WriteError> {
        let later = |trouble: String, in_doubt| WriteError::Later { trouble, after: None, in_doubt };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let body = encoder.write_all(lines.as_bytes()).and_then(|()| encoder.finish());
        let body = body.map_err(|e| later(e.to_string(), false))?;
        let request = self.http.post(self.write_url.clone()).header(CONTENT_ENCODING, "gzip").body(body);
        // A refused connection carried nothing; after any other error the server may have it all.
        let response = self.with_token(request).send().await.map_err(|e| {
            let in_doubt = !e.is_connect();
            later(without_url(e), in_doubt)
        })?;
        let status = response.status();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = header.and_then(|text| retry_after(text, (self.now)()));
        if status.as_u16() == 204 {
            return Ok(());
        }
        let trouble = format!("{status}: {}", shown(&beginning(response).await));
        match status.as_u16() {
            400 | 413 | 422 => Err(WriteError::Split(trouble)),
            500 => Err(WriteError::Broken(trouble)),
            // What speaks for the database does not know what became of the request.
            502 | 504 => Err(WriteError::Later { trouble, after, in_doubt: true }),
            _ => Err(WriteError::Later { trouble, after, in_doubt: false }),
        }
    }

    async fn query(&self, flux: &str) -> Result<String, QueryError> {
        let dialect = serde_json::json!({ "annotations": ["datatype"], "header": true });
        let body = serde_json::json!({ "query": flux, "type": "flux", "dialect": dialect });
        let request = self.with_token(self.http.post(self.query_url.clone()).json(&body));
        let away = |e| QueryError::Away(without_url(e));
        let response = request.send().await.map_err(away)?;
        let status = response.status();
        if status.is_success() {
            return response.text().await.map_err(away);
        }
        let trouble = format!("{status}: {}", shown(&beginning(response).await));
        let busy = status.is_server_error() && status.as_u16() != 501 || status.as_u16() == 429;
        Err(if busy { QueryError::Away(trouble) } else { QueryError::Refused(trouble) })
    }

    async fn retention_seconds(&self, bucket: &str) -> Result<Option<i64>, QueryError> {
        let wanted = ListBucketsRequest { name: Some(bucket.to_owned()), ..ListBucketsRequest::default() };
        let listed = self.client.list_buckets(Some(wanted)).await.map_err(|e| QueryError::Away(e.to_string()))?;
        let found = listed.buckets.into_iter().find(|b| b.name == bucket);
        Ok(found.and_then(|b| b.retention_rules.iter().map(|rule| i64::from(rule.every_seconds)).min()))
    }
}

/// A URL may hold what is nobody's business.
fn without_url(error: reqwest::Error) -> String {
    error.without_url().to_string()
}

/// An answer may be of any length, and only its beginning is of use.
async fn beginning(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < BODY_MAX
        && let Ok(Some(part)) = response.chunk().await
    {
        body.extend_from_slice(part.get(..BODY_MAX - body.len()).unwrap_or(&part));
    }
    body
}

/// As much of an answer's body as a log line holds.
pub fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(300).collect()
}

/// How long the database asks us to wait: seconds, or a date (RFC 9110, 10.2.3).
pub fn retry_after(text: &str, now: Time) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::from_millis(u64::try_from(date.as_millisecond() - now.0).ok()?)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Its token; empty where none is declared. An error names the file.
pub fn token(options: &Options) -> io::Result<String> {
    options.token_file.as_ref().map_or(Ok(String::new()), |path| secret::token("the InfluxDB token file", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_read_in_both_forms_and_bounded() {
        let now = Time::parse_rfc3339("2026-11-24T12:00:00Z").unwrap();
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(retry_after(text, now), expected.map(Duration::from_secs), "{text}");
        };
        check("7", Some(7));
        check("86400", Some(300));
        check("Tue, 24 Nov 2026 12:00:30 GMT", Some(30));
        check("Tue, 24 Nov 2026 11:00:00 GMT", None);
        check("soon", None);
    }
}
