//! Stopping on a signal: first not ready, then no new requests, then the end.

use std::io;
use std::pin::pin;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use actix_web::web;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::http::context::HttpContext;

/// Runs the server until it has stopped. SIGTERM stops it after `drain`; SIGINT, or a second signal, at once. While
/// requests finish, another signal aborts them.
pub(super) async fn serve_until_signal(
    server: Server,
    context: &web::Data<HttpContext>,
    drain: Duration,
) -> io::Result<()> {
    let (handle, mut server) = (server.handle(), pin!(server));
    let mut signals = Signals::listen()?;
    tokio::select! {
        served = &mut server => return served,
        () = stop_on_signal(&mut signals, handle, context, drain) => {}
    }
    server.await
}

async fn stop_on_signal(
    signals: &mut Signals,
    handle: ServerHandle,
    context: &web::Data<HttpContext>,
    drain: Duration,
) {
    let stop = signals.next().await;
    context.stop();
    if stop == SignalKind::terminate() && !drain.is_zero() {
        tracing::info!(seconds = drain.as_secs(), "stopping: still serving while proxies notice");
        let _ = tokio::time::timeout(drain, signals.next()).await;
    }
    tracing::info!("stopping: finishing requests in progress");
    tokio::select! {
        () = handle.stop(true) => {}
        _ = signals.next() => handle.stop(false).await,
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT. SIGHUP is ignored: a closed terminal must not end the server during requests.
    async fn next(&mut self) -> SignalKind {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return SignalKind::terminate(),
                _ = self.interrupt.recv() => return SignalKind::interrupt(),
                Some(()) = self.hangup.recv() => tracing::info!("SIGHUP ignored; restart to apply new settings"),
            }
        }
    }
}
