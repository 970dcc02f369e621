//! A request body, whole, in one buffer, within its limits.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::limits::Charge;
use super::progress::Progress;

/// A refused body up to this size is read and thrown away, so that its connection can go on.
const DISCARD: u64 = 64 * 1024;
/// How a body of unannounced length is charged to the budget: in steps of this many bytes.
const STEP: usize = 64 * 1024;

/// How long a body waits for room in the budget before it is refused.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// Why a body could not be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
    /// It did not come in time.
    Slow,
    /// It ended early or was not framed as HTTP/1.1 asks.
    Broken,
}

/// Reads `body`, at most `max` bytes, once there is room for its announced length in the budget.
pub(super) async fn read(
    body: &mut Incoming,
    max: usize,
    charge: &mut Charge<'_>,
    progress: &Progress,
    deadline: Instant,
) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().exact();
    let expected = match announced {
        Some(length) => usize::try_from(length)
            .ok()
            .filter(|length| *length <= max)
            .ok_or(BodyError::TooLarge)?,
        None => STEP.min(max),
    };
    if !charge.grow_to(expected) {
        let until = (Instant::now() + ROOM_WAIT).min(deadline);
        if !charge.grow_to_by(expected, until).await {
            return Err(BodyError::NoRoom);
        }
    }
    let Some(first) = next(body, progress).await? else {
        return Ok(Bytes::new());
    };
    if announced.is_some() && first.len() == expected {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(expected);
    let mut chunk = Some(first);
    while let Some(bytes) = chunk {
        let length = whole.len() + bytes.len();
        if length > max {
            return Err(BodyError::TooLarge);
        }
        if announced.is_none() && !charge.grow_to(length.next_multiple_of(STEP)) {
            return Err(BodyError::NoRoom);
        }
        whole.extend_from_slice(&bytes);
        drop(bytes);
        if announced.is_some() && length == expected {
            break;
        }
        chunk = next(body, progress).await?;
    }
    Ok(whole.freeze())
}

/// Reads a body nobody wants, if it is small. True when it was read to its end.
pub(super) async fn discard(body: &mut Incoming, progress: &Progress) -> bool {
    if body.is_end_stream() {
        return true;
    }
    if body
        .size_hint()
        .upper()
        .is_none_or(|length| length > DISCARD)
    {
        return false;
    }
    loop {
        match next(body, progress).await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// The next bytes of a body, `None` at its end; trailers are passed over.
async fn next(body: &mut Incoming, progress: &Progress) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = poll_fn(|cx| {
            let frame = Pin::new(&mut *body).poll_frame(cx);
            if frame.is_pending() && progress.body_late() {
                return Poll::Ready(Err(BodyError::Slow));
            }
            frame.map(Ok)
        })
        .await?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyError::Broken),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
