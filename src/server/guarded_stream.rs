//! A TCP stream that limits how long a client may not read.
//!
//! actix-http limits the time to receive a request head and the idle time between requests. It has no limit on
//! the time to write a response, so a client that never reads would hold its connection and its buffers forever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::server::connections::{Connection, Connections};

/// A client must read this many bytes a second, on average, while a response waits for it.
const MIN_BYTES_PER_SECOND: usize = 1024;

/// A connection that fails once its time is up. While a response waits for the client to read, nothing more is read
/// from the client, so pipelined requests stay in the kernel's buffer.
pub(super) struct GuardedStream {
    stream: TcpStream,
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    /// Bytes written since the deadline was last extended.
    credit: usize,
    is_read_paused: bool,
}

impl GuardedStream {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>, connections: Arc<Connections>) -> Self {
        Self { stream, connection, connections, credit: 0, is_read_paused: false }
    }

    fn check(&self) -> io::Result<()> {
        if self.connection.is_closed.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "connection closed by a limit"));
        }
        Ok(())
    }

    /// Registers for [`Connection::close`], and looks again: it may have been called just before.
    fn wait(&self, cx: &Context<'_>) -> io::Result<()> {
        self.connection.waker.register(cx.waker());
        self.check()
    }

    fn is_blocked(&self) -> bool {
        self.connection.write_deadline.load(Ordering::Relaxed) != 0
    }

    fn written(&mut self, bytes: usize) {
        let now = self.connections.tick.load(Ordering::Relaxed);
        self.connection.last_write.store(now, Ordering::Relaxed);
        let deadline = self.connection.write_deadline.load(Ordering::Relaxed);
        if deadline != 0 {
            self.credit = self.credit.saturating_add(bytes);
            let seconds = u32::try_from(self.credit / MIN_BYTES_PER_SECOND).unwrap_or(u32::MAX);
            self.credit %= MIN_BYTES_PER_SECOND;
            let latest = now.saturating_add(self.connections.limits.write_seconds).saturating_add(1);
            let extended = deadline.saturating_add(seconds).min(latest);
            self.connection.write_deadline.store(extended, Ordering::Relaxed);
        }
    }

    fn block(&mut self) {
        if !self.is_blocked() {
            let now = self.connections.tick.load(Ordering::Relaxed);
            let deadline = now.saturating_add(self.connections.limits.write_seconds).saturating_add(1);
            self.connection.write_deadline.store(deadline, Ordering::Relaxed);
            self.credit = 0;
        }
    }

    fn settle_write(&mut self, cx: &Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => self.written(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.block();
                self.wait(cx)?;
            }
        }
        result
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        if self.is_blocked() {
            self.is_read_paused = true;
            self.wait(cx)?;
            return Poll::Pending;
        }
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if result.is_pending() {
            self.wait(cx)?;
        }
        result
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.settle_write(cx, result)
    }

    /// Called once the response is written, so nothing waits any more.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.is_blocked() {
            self.connection.write_deadline.store(0, Ordering::Relaxed);
        }
        if self.is_read_paused {
            self.is_read_paused = false;
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.settle_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        self.connections.unregister(&self.connection);
    }
}
