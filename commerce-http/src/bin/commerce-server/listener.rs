//! Accepting connections: `TCP_NODELAY`, and an end to those that say nothing or are slow to say what they want.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use poem::{
    http::uri::Scheme,
    listener::{Acceptor, TcpAcceptor},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How long the rest of a request is read, and thrown away, after an answer that didn't wait for it. A connection that is closed
/// with unread data in it is reset, and the client may never see the answer.
const LINGER: Duration = Duration::from_secs(2);

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTimeouts {
    /// From the first byte of a request's head to its last.
    pub header: Duration,
    /// Without a byte either way while no request is being answered.
    pub idle: Duration,
}

/// Hands out connections that are fit to serve on.
pub struct Listener {
    acceptor: TcpAcceptor,
    timeouts: ConnectionTimeouts,
}

impl Listener {
    pub fn new(listener: tokio::net::TcpListener, timeouts: ConnectionTimeouts) -> io::Result<Self> {
        Ok(Self { acceptor: TcpAcceptor::from_tokio(listener)?, timeouts })
    }
}

impl Acceptor for Listener {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.acceptor.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        match self.acceptor.accept().await {
            Ok((stream, local, remote, scheme)) => {
                // Without it, answers on a kept connection may wait 40 ms for the client's acknowledgement.
                stream.set_nodelay(true)?;
                Ok((Connection::new(stream, self.timeouts), local, remote, scheme))
            }
            Err(error) => {
                // Out of file descriptors, mostly: trying again at once would only burn the processor.
                tracing::warn!(%error, "a connection couldn't be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(error)
            }
        }
    }
}

/// What a connection and the requests on it know of each other.
#[derive(Debug)]
pub struct Traffic {
    opened: Instant,
    in_flight: AtomicUsize,
    /// When the head that is being read began, in milliseconds since the connection was opened, and 1; 0 if none is.
    head_began: AtomicU64,
    lingers: AtomicBool,
}

impl Traffic {
    /// A request's head was read: it is being answered until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.head_began.store(0, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// An answer was given before its request had come: the rest is heard out when the connection is closed.
    pub fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    fn is_answering(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    fn head_bytes(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        let _ = self.head_began.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn head_began(&self) -> Option<Instant> {
        let began = self.head_began.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.opened + Duration::from_millis(began))
    }
}

/// A request that is being answered.
pub struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The version of HTTP, as far as its time-outs need it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Unknown,
    Http1,
    /// Its frames aren't only heads.
    Http2,
}

/// A connection that ends when its client keeps it waiting.
pub struct Connection {
    stream: TcpStream,
    traffic: Arc<Traffic>,
    timeouts: ConnectionTimeouts,
    protocol: Protocol,
    moved: Instant,
    alarm: Pin<Box<Sleep>>,
    lingers_until: Option<Instant>,
}

impl Connection {
    fn new(stream: TcpStream, timeouts: ConnectionTimeouts) -> Self {
        let opened = Instant::now();
        let first = opened + timeouts.header.min(timeouts.idle);
        Self {
            stream,
            traffic: Arc::new(Traffic {
                opened,
                in_flight: AtomicUsize::default(),
                head_began: AtomicU64::default(),
                lingers: AtomicBool::default(),
            }),
            timeouts,
            protocol: Protocol::Unknown,
            moved: opened,
            alarm: Box::pin(tokio::time::sleep_until(first)),
            lingers_until: None,
        }
    }

    /// What its requests have to note.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// When the client's time is up, as things stand.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        if self.traffic.is_answering() {
            // Requests have time-outs of their own.
            return now + self.timeouts.idle.min(self.timeouts.header);
        }
        let idle = self.moved + self.timeouts.idle;
        let head = self.traffic.head_began().filter(|_| self.protocol == Protocol::Http1);
        head.map_or(idle, |began| idle.min(began + self.timeouts.header))
    }

    /// Notes that something moved, or looks whether the time is up. The alarm is set anew only when it rings, so it rings at
    /// least as often as the shortest of the time-outs.
    fn watch<T>(&mut self, poll: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.moved = Instant::now();
            return poll;
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            let (deadline, now) = (self.deadline(), Instant::now());
            if deadline <= now {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(deadline.min(now + self.timeouts.header));
        }
        Poll::Pending
    }

    fn note_read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.protocol == Protocol::Unknown {
            self.protocol = if bytes.starts_with(b"PRI") { Protocol::Http2 } else { Protocol::Http1 };
        }
        if !self.traffic.is_answering() {
            self.traffic.head_bytes();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let poll = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.note_read(&buffer.filled()[before..]);
        this.watch(poll, cx)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watch(poll, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Says that no more will be written and, if the client is still sending, hears it out for a moment.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingers_until.is_none() {
            std::task::ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.traffic.lingers.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
            let end = Instant::now() + LINGER;
            this.lingers_until = Some(end);
            this.alarm.as_mut().reset(end);
        }
        let mut thrown_away = [0; 8192];
        while this.alarm.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                // The client has closed its end, or the connection is gone.
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.watch(poll, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
