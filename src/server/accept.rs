//! Listening and accepting. Nothing that a peer or a shortage of file descriptors can cause ends
//! the loop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::throttle::Throttle;

/// Connections the kernel holds for us until they are accepted.
const BACKLOG: i32 = 1024;
/// A pause after a failed accept; without one, running out of file descriptors would spin.
const PAUSE: Duration = Duration::from_millis(20);

static ERRORS: Throttle = Throttle::new();
static FULL: Throttle = Throttle::new();

/// Listens on `address`. Needs a tokio runtime.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What to do with what is accepted.
pub(super) trait Accepting {
    /// The most connections held open at once.
    fn max_connections(&self) -> usize;
    /// accept failed.
    fn failed(&self);
    /// A connection was closed at the limit.
    fn refused(&self);
    /// A connection is there; the future is its life.
    fn connection(&self, tcp: TcpStream) -> impl Future<Output = ()> + Send + 'static;
}

/// Accepts connections until `end` resolves, each in a task of `tasks`. At the limit the newest
/// connection is closed at once: waiting in the kernel's queue it would only time out later.
pub(super) async fn accept(
    listener: TcpListener,
    accepting: impl Accepting,
    tasks: TaskTracker,
    end: impl Future<Output = ()>,
) {
    let mut end = pin!(end);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut end => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, _)) if tasks.len() < accepting.max_connections() => {
                // An answer is one write; waiting to fill a packet would only delay it. A socket
                // that cannot be told so is one whose peer has gone.
                let _ = tcp.set_nodelay(true);
                tasks.spawn(accepting.connection(tcp));
            }
            Ok((tcp, _)) => {
                drop(tcp);
                accepting.refused();
                if let Some(held_back) = FULL.pass() {
                    tracing::warn!(
                        limit = accepting.max_connections(),
                        held_back,
                        "connection limit reached, closing the newest"
                    );
                }
            }
            Err(error) => {
                accepting.failed();
                if let Some(held_back) = ERRORS.pass() {
                    tracing::error!(%error, held_back, "accepting a connection failed");
                }
                sleep(PAUSE).await;
            }
        }
    }
}
