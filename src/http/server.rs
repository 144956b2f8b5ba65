//! Routes and answers.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Control, Handle, Server};
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::watch;
use tokio::time::Instant;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::cluster::MeterIx;
use crate::factor::Catalogue;
use crate::http::live::Live;
use crate::http::openapi::openapi_json;
use crate::http::problem::Problem;
use crate::http::seats::{CONNECTIONS, Seats};
use crate::http::table::json;
use crate::http::{
    Ask, BrokerView, ConfigView, DatabaseView, Guard, Look, NotifierView, RuleView, Unstored, alarms, entries, factors,
    live, metrics, page, quarantine, readings, refused, status, trail,
};
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Time};
use crate::store::{AlarmStore, Reader, StoreError};
use crate::tls::Expiry;

/// Explains a quarter-hour of a meter, with what is not stored yet, for people or as JSON. `None`: nothing is booked.
pub type Explain =
    Arc<dyn Fn(&Reader, MeterIx, Quarter, (Unstored, bool)) -> Result<Option<String>, StoreError> + Send + Sync>;

/// What the server can see.
pub struct App {
    /// The way to the desk.
    pub ask: Ask,
    /// What is stored.
    pub reader: Mutex<Reader>,
    /// The same, for the page alone.
    pub page_reader: Mutex<Reader>,
    /// The alarms.
    pub alarms: Mutex<AlarmStore>,
    /// What decides figures.
    pub rules: Arc<Rules>,
    /// How each rule of alarms stands.
    pub standings: Look<Vec<RuleView>>,
    /// How each notifier gets through.
    pub notifiers: Look<Vec<NotifierView>>,
    /// The broker session.
    pub broker: Look<BrokerView>,
    /// The database writer, if there is one.
    pub database: Option<Look<DatabaseView>>,
    /// Until when certificates are valid.
    pub certificates: Look<Vec<Expiry>>,
    /// The configuration.
    pub config: Look<ConfigView>,
    /// How long block commits take, in seconds.
    pub commit_seconds: Histogram,
    /// Why a meter is booked as it is.
    pub explain: Explain,
    /// The factors.
    pub catalogue: Arc<Catalogue>,
    /// Who may change something.
    pub guard: Guard,
    /// No figure is a measurement.
    pub simulated: bool,
    /// The clock.
    pub now: fn() -> Time,
}

/// What the server sees, which another configuration replaces.
#[derive(Clone)]
pub struct Shared(Arc<RwLock<Arc<App>>>);

impl Shared {
    /// Shares it.
    pub fn new(app: App) -> Shared {
        Shared(Arc::new(RwLock::new(Arc::new(app))))
    }

    /// From here on it is this.
    pub fn replace(&self, app: App) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(app);
    }
}

impl Shared {
    /// As it is now.
    pub(crate) fn app(&self) -> Arc<App> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What handlers can ask for.
#[derive(Clone)]
struct Site {
    shared: Shared,
    live: Live,
}

impl FromRef<Site> for Arc<App> {
    fn from_ref(site: &Site) -> Arc<App> {
        site.shared.app()
    }
}

impl FromRef<Site> for Live {
    fn from_ref(site: &Site) -> Live {
        site.live.clone()
    }
}

/// Where the server listens.
#[derive(Debug)]
pub struct Listeners {
    /// In clear.
    pub plain: TcpListener,
    /// Over TLS, and by which certificate, which may be replaced.
    pub secure: Option<(TcpListener, RustlsConfig)>,
}

/// Whoever connects and asks nothing is cut off after this;
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// and whoever asks nothing more, or says only half of it. Longer than scrapes are apart.
const NEXT_REQUEST: Duration = Duration::from_secs(75);
/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// Connections that do not come to be are told of so often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// What somebody sends may halt for so long.
const BODY: Duration = Duration::from_secs(30);
/// What is being answered when the server ends may take so long.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Serves until `stop` is done.
pub async fn serve(
    listeners: Listeners,
    app: Shared,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let live = Live::new(stopped);
    let boards = tokio::spawn(live.clone().run(app.clone()));
    let site = Site { shared: app, live };
    let plain_router = router(site.clone());
    let secure_router = plain_router.clone().layer(from_fn_with_state(site, ask_for_token));
    // Whoever comes by a proxy has its address; over TLS nobody takes more than half of the places.
    let control = Control::new();
    let plain = patient(axum_server::from_tcp(listeners.plain)?, Seats::new(CONNECTIONS), &control)
        .serve(plain_router.into_make_service());
    let secure = async {
        let Some((listener, config)) = listeners.secure else {
            return Ok(());
        };
        let tls = |seats| RustlsAcceptor::new(config).handshake_timeout(HANDSHAKE).acceptor(seats);
        patient(axum_server::from_tcp(listener)?, Seats::new(CONNECTIONS / 2), &control)
            .map(tls)
            .serve(secure_router.into_make_service())
            .await
    };
    let end = control.clone();
    let ending = tokio::spawn(async move {
        stop.await;
        // Pages that are open would hold up the end.
        stopping.send_replace(true);
        end.graceful_shutdown(Some(LAST_ANSWERS));
    });
    let served = tokio::join!(plain, secure);
    boards.abort();
    ending.abort();
    served.0.and(served.1)
}

fn patient(server: Server<SocketAddr>, seats: Seats, control: &Control) -> Server<SocketAddr, Seats> {
    let mut server = server.http1_only().handle(Handle::with_control(control.clone()));
    server.http_builder().http1().header_read_timeout(NEXT_REQUEST);
    let told = Mutex::new(None::<Instant>);
    let tell = move |from: Option<&SocketAddr>, error: &io::Error| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            tracing::warn!(from = from.map(tracing::field::display), %error, "a connection did not come to be; more are not told of for a minute");
        }
    };
    server.first_request_timeout(FIRST_REQUEST).accept_error_handler(tell).acceptor(seats)
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/api/v1/status", get(status::show))
        .route("/api/v1/entries", get(entries::show))
        .route("/api/v1/meters", get(status::meters))
        .route("/api/v1/readings", get(readings::show))
        .route("/api/v1/factors", get(factors::show))
        .route("/api/v1/refused", get(refused::show))
        .route("/api/v1/unmapped", get(status::unmapped))
        .route("/api/v1/quarantine", get(quarantine::show).post(quarantine::decide))
        .route("/api/v1/rules", get(alarms::show_rules))
        .route("/api/v1/alarms", get(alarms::show))
        .route("/api/v1/alarms/{*path}", post(alarms::change))
        .route("/api/v1/adjustments", post(trail::adjust))
        .route("/api/v1/restatements", post(trail::restate))
        .route("/api/v1/audit", get(trail::audit))
        .route("/api/v1/explain", get(trail::explain))
        .route("/api/openapi.json", get(|| async { json(openapi_json()) }))
        .route("/api/v1/live", get(live::follow))
        .route("/api/v1/board", get(live::show))
        .route("/", get(page::overview))
        .route("/cluster/{id}", get(page::cluster))
        .route("/facility/{id}", get(page::facility))
        .route("/meter/{id}", get(page::meter))
        .route("/alarms", get(page::alarms))
        .route("/system", get(page::system))
        .route("/assets/{name}", get(page::asset))
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(status::ready))
        .fallback(|| async { Problem::Missing("there is nothing here; the page is at /".to_owned()) })
        .layer(CompressionLayer::new())
        .layer(RequestBodyTimeoutLayer::new(BODY))
        .with_state(site)
}

/// What says nothing but that the daemon is there.
const FOR_ANYBODY: [&str; 2] = ["/healthz", "/readyz"];

async fn ask_for_token(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_open = FOR_ANYBODY.contains(&request.uri().path());
    match if is_open { Ok(()) } else { app.guard.admits(request.headers()) } {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn show_metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let desk = app.desk().await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], metrics::render(&desk, &app)).into_response())
}
