//! Between hyper and the socket: fills hyper's buffer with everything that is there, and keeps
//! [`Progress`] up to date.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncBufRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::progress::{Phase, Progress};

/// Room for a whole TLS record below TLS, which otherwise reads 4 KiB at a time.
const SOCKET_BUFFER: usize = 20 * 1024;

/// The socket as all connections use it.
pub(super) type Socket = BufReader<TcpStream>;

/// The most a lingering connection reads and throws away.
const LINGER_BYTES: usize = 32 << 20;

pub(super) fn buffered(tcp: TcpStream) -> Socket {
    BufReader::with_capacity(SOCKET_BUFFER, tcp)
}

/// A stream over a [`Socket`].
pub(super) trait Transport: AsyncBufRead + AsyncWrite + Unpin {
    /// The socket itself, for reading what nobody decrypts any more.
    fn socket(&mut self) -> &mut Socket;
}

impl Transport for Socket {
    fn socket(&mut self) -> &mut Socket {
        self
    }
}

impl Transport for TlsStream<Socket> {
    fn socket(&mut self) -> &mut Socket {
        self.get_mut().0
    }
}

/// A transport that reports what it does.
pub(super) struct Watched<'a, T> {
    transport: T,
    progress: &'a Progress,
    lingered: usize,
}

impl<'a, T: Transport> Watched<'a, T> {
    pub(super) fn new(transport: T, progress: &'a Progress) -> Self {
        Watched {
            transport,
            progress,
            lingered: 0,
        }
    }

    /// Reads on until the client is done, so that closing does not reset the connection while the
    /// client still writes, which would take the answer away from it.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.lingered < LINGER_BYTES {
            match ready!(Pin::new(self.transport.socket()).poll_fill_buf(cx)) {
                Ok(bytes) if !bytes.is_empty() => {
                    let read = bytes.len();
                    self.lingered += read;
                    Pin::new(self.transport.socket()).consume(read);
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<T: Transport> Read for Watched<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut any = false;
        while buf.remaining() > 0 {
            let bytes = match Pin::new(&mut self.transport).poll_fill_buf(cx) {
                Poll::Ready(Ok(bytes)) => bytes,
                // What was read before an error or a pause is handed over first.
                Poll::Ready(Err(_)) | Poll::Pending if any => break,
                // A peer that went away without a TLS goodbye has ended its stream all the same:
                // HTTP/1.1 says itself where a message ends.
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => break,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            };
            let Some(bytes) = bytes.get(..bytes.len().min(buf.remaining())) else {
                break;
            };
            if bytes.is_empty() {
                break;
            }
            let read = bytes.len();
            buf.put_slice(bytes);
            Pin::new(&mut self.transport).consume(read);
            any = true;
        }
        if any {
            self.progress.bytes_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> Write for Watched<'_, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.transport).poll_flush(cx);
        if flushed.is_ready() {
            self.progress.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.progress.phase() != Phase::Lingering {
            ready!(Pin::new(&mut self.transport).poll_shutdown(cx))?;
            if !self.progress.unread() {
                return Poll::Ready(Ok(()));
            }
            self.progress.enter(Phase::Lingering, Instant::now());
        }
        self.linger(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, bufs)
    }
}
