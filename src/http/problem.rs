//! What is answered when something cannot be: in words that say what to do, never as a panic.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::cluster::{Entity, MeterIx};
use crate::http::server::App;
use crate::http::{DeskView, Question, Unstored};
use crate::quantity::{Quarter, Window};
use crate::store::{AlarmStore, Reader, StoreError};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Problem {
    /// What was asked for cannot be.
    Bad(String),
    /// Whoever asks may not.
    Denied(StatusCode, &'static str),
    /// Whoever asks did not say who it is.
    Unknown,
    /// There is no such thing.
    Missing(String),
    /// Somebody was there before.
    Taken(String),
    /// What was sent is too long, or of another type.
    Unfit(StatusCode, String),
    /// The store cannot be read.
    Failed(StoreError),
    /// There are too many who listen.
    Crowded,
    /// The desk is gone: the process is about to end, or another configuration has just been taken.
    Stopping,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Problem::Unknown => {
                let text =
                    "show the token of daemon.token_file: as a password, for any user, or Authorization: Bearer ...\n";
                let asks = [(header::WWW_AUTHENTICATE, "Basic realm=\"emissiond\", charset=\"UTF-8\"")];
                return (StatusCode::UNAUTHORIZED, asks, text).into_response();
            }
            Problem::Bad(text) => (StatusCode::BAD_REQUEST, text),
            Problem::Denied(status, text) => (status, text.to_owned()),
            Problem::Missing(text) => (StatusCode::NOT_FOUND, text),
            Problem::Taken(text) => (StatusCode::CONFLICT, text),
            Problem::Unfit(status, text) => (status, text),
            Problem::Failed(error) => {
                tracing::error!(%error, "a question over HTTP cannot be answered");
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
            Problem::Crowded => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open: close some, or ask again later".to_owned())
            }
            Problem::Stopping => {
                let text = "the daemon is stopping, or takes another configuration: ask again in a moment";
                (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
            }
        };
        (status, format!("{}\n", text.trim_end())).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem::Failed(error)
    }
}

/// No question is as long; each of a query's names would take a hundred bytes.
const QUERY_MAX: usize = 2_048;

/// The parameters of a query. Unknown ones are refused.
pub(crate) struct Asked<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Asked<T>, Problem> {
        read_query(&parts.uri).map(Asked).map_err(Problem::Bad)
    }
}

/// The parameters of a query. An error says what is wrong.
pub fn read_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, String> {
    if uri.query().is_some_and(|query| query.len() > QUERY_MAX) {
        return Err(format!("the query is longer than {QUERY_MAX} bytes"));
    }
    Query::<T>::try_from_uri(uri).map(|Query(query)| query).map_err(|rejection| rejection.body_text())
}

/// A body of JSON.
pub(crate) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            // All that is wrong with what it says is one thing to whoever said it.
            Err(JsonRejection::JsonDataError(error)) => Err(Problem::Bad(error.body_text())),
            Err(JsonRejection::JsonSyntaxError(error)) => Err(Problem::Bad(error.body_text())),
            Err(other) => Err(Problem::Unfit(other.status(), other.body_text())),
        }
    }
}

impl App {
    /// Asks the desk.
    pub(crate) async fn question<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        (self.ask)(question(reply));
        answer.await.map_err(|_| Problem::Stopping)
    }

    pub(crate) async fn desk(&self) -> Result<DeskView, Problem> {
        self.question(Question::Desk).await
    }

    /// Reads the ledger, where waiting holds up nobody: the session and the watchdog share the runtime.
    pub(crate) async fn read<T: Send + 'static>(
        self: Arc<App>,
        read: impl FnOnce(&App, &Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.read_by(|app| &app.reader, read).await
    }

    /// The same for the page: no long question comes before it.
    pub(crate) async fn read_beside<T: Send + 'static>(
        self: Arc<App>,
        read: impl FnOnce(&App, &Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.read_by(|app| &app.page_reader, read).await
    }

    async fn read_by<T: Send + 'static>(
        self: Arc<App>,
        which: fn(&App) -> &Mutex<Reader>,
        read: impl FnOnce(&App, &Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let read = move || {
            let reader = which(&self).lock().map_err(|_| Problem::Stopping)?;
            Ok(read(&self, &reader)?)
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(Problem::Stopping))
    }

    /// What is newer of a meter than what is stored.
    pub(crate) async fn unstored(&self, meter: MeterIx) -> Result<Unstored, Problem> {
        let open = self.question(|reply| Question::Open(vec![Entity::Meter(meter)], Window::Quarter, reply)).await?;
        let held = self.question(|reply| Question::Readings(meter, reply)).await?;
        Ok(Unstored { now: open.now, quarters: open.quarters, held })
    }

    /// Why a meter is booked as it is in a quarter-hour, for people or as JSON. `None`: nothing is booked.
    pub(crate) async fn explained(
        self: &Arc<App>,
        (meter, quarter): (MeterIx, Quarter),
        as_json: bool,
    ) -> Result<Option<String>, Problem> {
        let unstored = self.unstored(meter).await?;
        let explain = Arc::clone(&self.explain);
        Arc::clone(self).read(move |_, reader| explain(reader, meter, quarter, (unstored, as_json))).await
    }

    /// Reads or changes the alarms.
    pub(crate) async fn alarms<T: Send + 'static>(
        self: Arc<App>,
        read: impl FnOnce(&AlarmStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let read = move || {
            let store = self.alarms.lock().map_err(|_| Problem::Stopping)?;
            Ok(read(&store)?)
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(Problem::Stopping))
    }
}
