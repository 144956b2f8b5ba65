//! `/api/v1/live`: boards as they change, as server-sent events: first all of it, then what is new, once a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use utoipa::ToSchema;

use crate::http::board::{AlarmLine, Board, Boards, Lamps, Row};
use crate::http::problem::Problem;
use crate::http::server::{App, Shared};

/// How often there is a new board, as long as anybody looks.
const EVERY: Duration = Duration::from_secs(1);
/// Pages that are open at once.
const SEATS: usize = 100;
/// Proxies end connections on which nothing comes.
const PING: Duration = Duration::from_secs(15);

/// What is new since the board before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change<'a> {
    pub number: u64,
    pub at: &'a str,
    pub watermark: &'a str,
    pub plan: &'a str,
    pub state: &'a Lamps,
    /// The rows that are others now.
    pub rows: Vec<&'a Row>,
    /// All alarms that go on; `null`: the same as before.
    pub alarms: Option<&'a [AlarmLine]>,
    /// The courses that are others now.
    pub courses: std::collections::BTreeMap<&'a str, &'a [Option<i64>]>,
}

/// A board, ready to be sent: to whoever has the one before, and to whoever has none.
struct Frame {
    board: Arc<Board>,
    change: Option<String>,
}

/// Boards for all who look.
#[derive(Clone)]
pub(crate) struct Live {
    boards: Arc<Mutex<Boards>>,
    frames: watch::Sender<Option<Arc<Frame>>>,
    seats: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Live {
    pub(crate) fn new(stop: watch::Receiver<bool>) -> Live {
        let (frames, seats) = (watch::Sender::new(None), Arc::new(Semaphore::new(SEATS)));
        Live { boards: Arc::default(), frames, seats, stop }
    }

    /// A board of this moment.
    pub(crate) async fn board(&self, app: &Arc<App>) -> Result<Arc<Board>, Problem> {
        self.boards.lock().await.board(app).await
    }

    /// Makes boards as long as anybody looks.
    pub(crate) async fn run(self, app: Shared) {
        let mut pace = tokio::time::interval(EVERY);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !*self.stop.borrow() {
            pace.tick().await;
            if self.frames.receiver_count() == 0 {
                self.frames.send_replace(None);
                continue;
            }
            // While another configuration is taken there is no board; the page says that it hears nothing.
            if let Ok(board) = self.board(&app.app()).await {
                let before = self.frames.borrow().clone();
                let change = before.and_then(|before| text(&change(&before.board, &board)));
                self.frames.send_replace(Some(Arc::new(Frame { board, change })));
            }
        }
    }
}

/// What is new.
fn change<'a>(before: &Board, now: &'a Board) -> Change<'a> {
    let is_new = |(at, row): &(usize, &Row)| before.rows.get(*at) != Some(*row);
    let courses = now.courses.iter().filter(|(key, course)| before.courses.get(*key) != Some(course));
    Change {
        number: now.number,
        at: &now.at,
        watermark: &now.watermark,
        plan: &now.plan,
        state: &now.state,
        rows: now.rows.iter().enumerate().filter(is_new).map(|(_, row)| row).collect(),
        alarms: (before.alarms != now.alarms).then_some(&now.alarms),
        courses: courses.map(|(key, course)| (key.as_str(), course.as_slice())).collect(),
    }
}

/// Texts and numbers always have one.
fn text(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}

/// One who looks.
struct Watching {
    frames: watch::Receiver<Option<Arc<Frame>>>,
    stop: watch::Receiver<bool>,
    /// The number of the board that was sent last.
    sent: u64,
    _seat: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let is_over = self.stop.wait_for(|stop| *stop);
            tokio::select! {
                _ = is_over => return None,
                changed = self.frames.changed() => changed.ok()?,
            }
            let frame = self.frames.borrow_and_update().clone();
            if let Some(event) = frame.and_then(|frame| self.event(&frame)) {
                return Some(event);
            }
        }
    }

    /// Whoever has missed one gets all of it.
    fn event(&mut self, frame: &Frame) -> Option<Event> {
        let number = frame.board.number;
        if number == self.sent {
            return None;
        }
        let change = frame.change.clone().filter(|_| number == self.sent + 1);
        let (kind, text) = match change {
            Some(change) => ("change", change),
            None => ("board", text(&*frame.board)?),
        };
        self.sent = number;
        Some(Event::default().event(kind).id(number.to_string()).data(text))
    }
}

/// First an event `board` with all of it, then events `change` with what is new since the board before, each second.
#[utoipa::path(get, path = "/api/v1/live",
    responses((status = 200, body = Board, content_type = "text/event-stream"), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn follow(State(live): State<Live>, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let seat = Arc::clone(&live.seats).try_acquire_owned().map_err(|_| Problem::Crowded)?;
    let mut watching = Watching { frames: live.frames.subscribe(), stop: live.stop.clone(), sent: 0, _seat: seat };
    let first = watching.event(&Frame { board: live.board(&app).await?, change: None });
    let events = stream::unfold((watching, first), |(mut watching, first)| async move {
        let event = match first {
            Some(first) => first,
            None => watching.next().await?,
        };
        Some((Ok::<_, Infallible>(event), (watching, None)))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(PING));
    // nginx holds back what it may buffer.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let unkept = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(([unbuffered, unkept], sse).into_response())
}

/// The board of this moment.
#[utoipa::path(get, path = "/api/v1/board", responses((status = 200, body = Board), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn show(State(live): State<Live>, State(app): State<Arc<App>>) -> Result<Json<Board>, Problem> {
    Ok(Json(Board::clone(&*live.board(&app).await?)))
}
