//! One write request, and what its answer means for the next.

use std::io::{self, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::{Client, ClientBuilder, RequestError};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use crate::influx::Options;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a batch is not stored.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Send the same again later: the database is away, busy, or does not let us in.
    Retry(String),
    /// Send it in smaller parts: too large, or one of its lines will never be taken.
    Split(String),
}

/// The way to one bucket.
pub(crate) struct Bucket {
    client: Client,
    org: String,
    bucket: String,
}

impl Bucket {
    /// An error: the token cannot be read, or the URL is none.
    pub(crate) fn new(options: &Options) -> io::Result<Bucket> {
        let invalid = |e: String| io::Error::new(io::ErrorKind::InvalidInput, e);
        // The client panics on a bad URL, so it is checked first.
        reqwest::Url::parse(&options.url).map_err(|e| invalid(format!("influxdb.url `{}`: {e}", options.url)))?;
        // The client compresses only its own encoding of points; a default header lets it send bytes of ours.
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        let builder = ClientBuilder::with_builder(http, &options.url, &options.org, token(options)?);
        let client = builder.build().map_err(|e| invalid(e.to_string()))?;
        Ok(Bucket { client, org: options.org.clone(), bucket: options.bucket.clone() })
    }

    /// Sends lines; a repetition overwrites.
    pub(crate) async fn write(&self, lines: &str) -> Result<(), WriteError> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let body = encoder.write_all(lines.as_bytes()).and_then(|()| encoder.finish());
        let body = body.map_err(|e| WriteError::Retry(e.to_string()))?;
        let precision = TimestampPrecision::Seconds;
        let sent = self.client.write_line_protocol_with_precision(&self.org, &self.bucket, body, precision);
        match sent.await {
            Ok(()) => Ok(()),
            Err(RequestError::Http { status, text }) => {
                let shown: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
                let message = format!("{status}: {shown}");
                match status.as_u16() {
                    400 | 413 | 422 => Err(WriteError::Split(message)),
                    _ => Err(WriteError::Retry(message)),
                }
            }
            Err(error) => Err(WriteError::Retry(error.to_string())),
        }
    }
}

fn token(options: &Options) -> io::Result<String> {
    let Some(path) = &options.token_file else {
        return Ok(String::new());
    };
    let read = std::fs::read_to_string(path);
    let text =
        read.map_err(|e| io::Error::new(e.kind(), format!("the InfluxDB token file {}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}
