//! How many connections there may be: the store and the broker need files, too, and nobody takes all places.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// So many connections at a port; a page needs two.
pub(crate) const CONNECTIONS: usize = 300;

/// Whoever takes nothing of an answer for so long is cut off.
const STALLED: Duration = Duration::from_secs(30);

/// Turns away whoever is one too many.
#[derive(Clone)]
pub(crate) struct Seats {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// What one address may have.
    of_one: usize,
}

/// A connection that has its place.
pub(crate) struct Seated {
    stream: TcpStream,
    seats: Seats,
    from: IpAddr,
    /// Runs while an answer is not taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Seats {
    pub(crate) fn new(of_one: usize) -> Seats {
        Seats { taken: Arc::default(), of_one }
    }

    fn seat(&self, stream: TcpStream) -> io::Result<Seated> {
        let from = source(stream.peer_addr()?.ip());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.entry(from).or_default();
        if all >= CONNECTIONS || *own >= self.of_one {
            return Err(io::Error::other("too many connections"));
        }
        *own += 1;
        Ok(Seated { stream, seats: self.clone(), from, stalled: None })
    }
}

/// Whoever has an address of IPv6 mostly has a network of them.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.from) {
            *own -= 1;
        }
        taken.retain(|_, own| *own > 0);
    }
}

impl<S> Accept<TcpStream, S> for Seats {
    type Stream = Seated;
    type Service = S;
    type Future = Ready<io::Result<(Seated, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.seat(stream).map(|seated| (seated, service)))
    }
}

impl AsyncRead for Seated {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buffer);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
