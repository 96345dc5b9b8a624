//! The HTTP listeners.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol, Request};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Response, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, web};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use super::connections::{ConnectionLimits, Connections};
use super::settings::{trusted_proxies, workers};
use super::tasks::Tasks;
use crate::config::Settings;
use crate::http::context::HttpContext;
use crate::http::{operations, request_log};
use crate::server::ServerError;
use crate::{api, console, gateway, oauth};

/// Open files that are not connections: database, Redis, webhooks, logs, and connections that are being closed.
const RESERVED_FILES: u64 = 128;

/// Connections that operators may hold on `server.operations_listen`.
const OPERATIONS_CONNECTIONS: usize = 64;

/// Seconds for a request body and the handler, on top of the head and the idle time.
const REQUEST_SECONDS: u32 = 60;

/// Bytes of responses that a connection buffers before it waits for the client to read.
const WRITE_BUFFER: usize = 16 * 1024;

/// The bound addresses.
pub struct Listeners {
    /// `server.listen`.
    pub public: TcpListener,
    /// `server.operations_listen`.
    pub operations: Option<TcpListener>,
}

/// Binds the addresses. Port 0 in the settings is replaced with the port that the system chose.
pub fn listen(settings: &mut Settings) -> Result<Listeners, ServerError> {
    let public = bind(&mut settings.server.listen)?;
    let operations = settings.server.operations_listen.as_mut().map(bind).transpose()?;
    Ok(Listeners { public, operations })
}

fn bind(address: &mut SocketAddr) -> Result<TcpListener, ServerError> {
    let wanted = *address;
    let failed = |source| ServerError::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).map_err(failed)?;
    rustix::net::listen(&listener, 1024).map_err(|errno| failed(errno.into()))?;
    *address = listener.local_addr().map_err(failed)?;
    Ok(listener)
}

/// Registers everything that the public address serves. Routes are tried in this order: the busiest first.
/// `has_operations`: whether the endpoints for operators have an address of their own.
pub(super) fn routes(config: &mut web::ServiceConfig, context: &HttpContext, has_operations: bool) {
    config
        .configure(|config| oauth::routes(config, !context.allowed_origins.is_empty()))
        .configure(gateway::routes)
        .configure(oauth::document_routes)
        .configure(api::routes)
        .configure(console::routes)
        .configure(if has_operations { operations::public_routes } else { operations::routes })
        .default_service(web::to(|| async { api::Problem::not_found() }));
}

/// Starts the listeners.
pub(super) fn start(
    settings: &Settings,
    listeners: Listeners,
    context: &web::Data<HttpContext>,
    tasks: &Tasks,
) -> io::Result<Server> {
    let limits = connection_limits(settings);
    let workers = workers(settings);
    let connections = Connections::new(limits, trusted_proxies(settings));
    tasks.sweep_connections(&connections);
    let mut builder = Server::build()
        .workers(workers)
        // `Connections` closes the idlest one instead of leaving new ones unaccepted.
        .max_concurrent_connections(limits.total.saturating_mul(2))
        .shutdown_timeout(settings.server.shutdown_seconds)
        .disable_signals();
    let times = Times::of(settings);
    let (has_operations, app_context, operations_context) =
        (listeners.operations.is_some(), context.clone(), context.clone());
    let stop = builder.graceful_shutdown_signal();
    builder = builder.listen("public", listeners.public, move || {
        let app = App::new()
            .app_data(app_context.clone())
            .wrap(from_fn(request_log::log_request))
            .configure(|config| routes(config, &app_context, has_operations));
        let stop = stop.clone();
        service(app, times, connections.clone(), move || {
            let stop = stop.clone();
            async move { stop.notified().await }
        })
    })?;
    if let Some(listener) = listeners.operations {
        let limits = ConnectionLimits {
            total: OPERATIONS_CONNECTIONS,
            per_address: OPERATIONS_CONNECTIONS,
            per_network: OPERATIONS_CONNECTIONS,
            ..limits
        };
        let connections = Connections::new(limits, Default::default());
        tasks.sweep_connections(&connections);
        let stop = builder.graceful_shutdown_signal();
        builder = builder.listen("operations", listener, move || {
            let app = App::new()
                .app_data(operations_context.clone())
                .wrap(from_fn(request_log::log_request))
                .configure(operations::routes)
                .default_service(web::to(|| async { api::Problem::not_found() }));
            let stop = stop.clone();
            service(app, times, connections.clone(), move || {
                let stop = stop.clone();
                async move { stop.notified().await }
            })
        })?;
    }
    Ok(builder.run())
}

#[derive(Clone, Copy)]
struct Times {
    head: Duration,
    keep_alive: Duration,
}

impl Times {
    fn of(settings: &Settings) -> Self {
        Self {
            head: Duration::from_secs(settings.server.request_timeout_seconds),
            keep_alive: Duration::from_secs(settings.server.keep_alive_seconds.into()),
        }
    }
}

/// An app behind HTTP/1.1 behind the limits on connections.
fn service<A, S, B, F>(
    app: A,
    times: Times,
    connections: Arc<Connections>,
    stop: impl Fn() -> F + 'static,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = actix_http::error::DispatchError, InitError = ()>
where
    A: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error, InitError = ()>
        + 'static,
    S::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
    F: Future<Output = ()> + 'static,
{
    let app = map_config(app.into_factory(), |()| AppConfig::default())
        .map_err(|error: Error| Response::from(error.error_response()))
        .map(|response: ServiceResponse<B>| Response::from(response));
    let http = HttpService::build()
        .graceful_shutdown_signal(stop)
        .keep_alive(times.keep_alive)
        .client_request_timeout(times.head)
        .client_disconnect_timeout(Duration::from_secs(1))
        // With bodies in pieces of the same size, a connection holds two of them at most.
        .h1_write_buffer_size(WRITE_BUFFER)
        .finish(app);
    fn_service(move |stream: TcpStream| {
        let connections = connections.clone();
        async move {
            // The client may be gone already.
            let peer = stream.peer_addr()?;
            stream.set_nodelay(true)?;
            Ok((connections.admit(stream, peer.ip()), Protocol::Http1, Some(peer)))
        }
    })
    .and_then(http)
}

fn connection_limits(settings: &Settings) -> ConnectionLimits {
    let server = &settings.server;
    let files = raise_open_files();
    let available = usize::try_from(files.saturating_sub(RESERVED_FILES) / 10 * 9).unwrap_or(usize::MAX).max(16);
    let total = server.max_connections.min(available);
    if total < server.max_connections {
        tracing::warn!(open_files = files, connections = total, "RLIMIT_NOFILE lowers server.max_connections");
    } else {
        tracing::info!(open_files = files, connections = total, "connection limit set");
    }
    let head = u32::try_from(server.request_timeout_seconds).unwrap_or(u32::MAX);
    ConnectionLimits {
        total,
        per_address: server.max_connections_per_address,
        per_network: server.max_connections_per_network,
        write_seconds: server.write_timeout_seconds,
        idle_seconds: server.keep_alive_seconds.saturating_add(head).saturating_add(REQUEST_SECONDS),
    }
}

/// Raises the soft limit of open files to the hard limit and returns it.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "failed to raise RLIMIT_NOFILE");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}
