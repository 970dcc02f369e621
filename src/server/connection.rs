//! One connection from its first request to its end: hyper, one timer, and the drain.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, Sleep, sleep_until};

use super::drain::{Drain, Stage};
use super::io::{Transport, Watched};
use super::limits::Limits;
use super::progress::{Phase, Progress};

/// The largest request head, and the most hyper reads ahead.
const READ_AHEAD: usize = 64 * 1024;
const MAX_HEADER_SIZE: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// As it should.
    Done,
    /// The peer spoke no HTTP/1.1, or broke off.
    Broken(hyper::Error),
    /// The peer took too long while in this phase.
    TimedOut(Phase),
    /// The server ended before it did.
    Cut,
}

/// The rules one connection lives under.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) limits: &'a Limits,
    pub(super) drain: &'a Drain,
    /// Whether there are so many connections that unused ones should go.
    pub(super) crowded: &'a (dyn Fn() -> bool + Sync),
}

/// Serves requests until the connection ends.
pub(super) async fn drive<'a, T, S>(
    transport: T,
    progress: &'a Progress,
    rules: Rules<'a>,
    service: S,
) -> End
where
    T: Transport,
    S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>,
{
    let mut connection = pin!(
        http1::Builder::new()
            .max_buf_size(READ_AHEAD)
            .max_header_size(MAX_HEADER_SIZE)
            .max_headers(MAX_HEADERS)
            .serve_connection(Watched::new(transport, progress), service)
    );
    let mut clock = Clock::new(progress.opened() + rules.limits.header);
    let mut stop = Stop::new(rules.drain);
    let mut told = false;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(match ended {
                    Ok(()) => End::Done,
                    Err(error) => End::Broken(error),
                });
            }
            match stop.stage(cx) {
                Stage::Cut => return Poll::Ready(End::Cut),
                Stage::Closed if progress.phase() == Phase::Idle && !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                _ => {}
            }
            let due = || progress.due(rules.limits, (rules.crowded)());
            if !clock.past(due, cx) {
                return Poll::Pending;
            }
            if progress.phase() == Phase::Body && !progress.body_late() {
                // The handler looks at this mark when it is polled next, and answers 408.
                progress.set_body_late();
                continue;
            }
            return Poll::Ready(End::TimedOut(progress.phase()));
        }
    })
    .await
}

/// The one timer of a connection. It is set again only when it fires or when something is due
/// before it would, so a busy connection touches the timer wheel every few seconds, not with
/// every request.
struct Clock {
    sleep: Pin<Box<Sleep>>,
}

impl Clock {
    fn new(first: Instant) -> Self {
        Clock {
            sleep: Box::pin(sleep_until(first)),
        }
    }

    /// Whether what is due is past; otherwise the task is woken when it may be.
    fn past(&mut self, due: impl Fn() -> Option<Instant>, cx: &mut Context<'_>) -> bool {
        loop {
            let Some(due) = due() else {
                return false;
            };
            if due < self.sleep.deadline() {
                self.sleep.as_mut().reset(due);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return false;
            }
            if Instant::now() >= due {
                return true;
            }
            self.sleep.as_mut().reset(due);
        }
    }
}

/// Follows the drain. Being told of a change costs a lock, so the task registers once a stage and
/// after that only looks at an atomic.
struct Stop<'a> {
    drain: &'a Drain,
    changed: Pin<Box<Notified<'a>>>,
    registered: Option<(Waker, Stage)>,
}

impl<'a> Stop<'a> {
    fn new(drain: &'a Drain) -> Self {
        Stop {
            drain,
            changed: Box::pin(drain.changed()),
            registered: None,
        }
    }

    /// The present stage; the task is woken when it changes.
    fn stage(&mut self, cx: &mut Context<'_>) -> Stage {
        let stage = self.drain.stage();
        let registered = self
            .registered
            .as_ref()
            .is_some_and(|(waker, known)| *known == stage && waker.will_wake(cx.waker()));
        if !registered {
            while self.changed.as_mut().poll(cx).is_ready() {
                self.changed.set(self.drain.changed());
            }
            // The stage as it was before registering: if it has changed since, the next call
            // registers again instead of trusting a registration that is used up.
            self.registered = Some((cx.waker().clone(), stage));
        }
        self.drain.stage()
    }
}
