//! Lists read page by page and not too fast, for commands that look at a whole cluster.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::Client;
use kube::api::ListParams;
use kube::client::Body;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::wire::{ListMeta, explain};

/// Objects of one page.
const PAGE: u32 = 500;
/// The most bytes of one page; where it is more, a smaller page is asked for.
const MAX_PAGE_BYTES: usize = 32 << 20;
/// The longest one page may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Spreads requests over time.
#[derive(Debug)]
pub struct Pace(Mutex<Interval>);

impl Pace {
    /// At most so many requests a second, evenly. To be made inside of a runtime.
    pub fn new(per_second: u32) -> Pace {
        let mut interval = interval(Duration::from_secs(1) / per_second.max(1));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Pace(Mutex::new(interval))
    }

    /// Waits for the turn of the next request.
    pub async fn wait(&self) {
        self.0.lock().await.tick().await;
    }
}

/// Why the API server did not give what was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadError {
    /// The HTTP status; none where there was no answer.
    pub code: Option<u16>,
    /// The reason in words.
    pub why: String,
}

impl ReadError {
    fn new(why: impl Into<String>) -> ReadError {
        ReadError {
            code: None,
            why: why.into(),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}

impl From<kube::Error> for ReadError {
    fn from(error: kube::Error) -> ReadError {
        ReadError {
            code: super::wire::code(&error),
            why: explain(&error),
        }
    }
}

/// A list, of which one page is held at a time.
#[derive(Debug)]
pub struct Pages {
    path: String,
    labels: Option<String>,
    limit: u32,
    held: VecDeque<Box<RawValue>>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    Token(String),
    None,
}

/// A page, or the `Status` in place of one.
#[derive(Default, Deserialize)]
struct Page {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Option<VecDeque<Box<RawValue>>>,
    #[serde(default)]
    message: String,
}

impl Pages {
    /// The objects of a collection, none read yet.
    pub fn new(path: impl Into<String>) -> Pages {
        Pages {
            path: path.into(),
            labels: None,
            limit: PAGE,
            held: VecDeque::new(),
            next: Next::First,
        }
    }

    /// Only those with these labels.
    #[must_use]
    pub fn labelled(self, selector: &str) -> Pages {
        Pages {
            labels: Some(selector.to_owned()),
            ..self
        }
    }

    /// The first object that was not taken yet, as JSON text; none at the end.
    ///
    /// # Errors
    /// When the API server does not give the next page.
    pub async fn peek(
        &mut self,
        client: &Client,
        pace: &Pace,
    ) -> Result<Option<&RawValue>, ReadError> {
        while self.held.is_empty() && !matches!(self.next, Next::None) {
            pace.wait().await;
            self.turn(client).await?;
        }
        Ok(self.held.front().map(|object| &**object))
    }

    /// Takes the object that [`Pages::peek`] showed.
    pub fn take(&mut self) -> Option<Box<RawValue>> {
        self.held.pop_front()
    }

    /// All objects that are left.
    ///
    /// # Errors
    /// When the API server does not give one of the pages.
    pub async fn all(
        mut self,
        client: &Client,
        pace: &Pace,
    ) -> Result<Vec<Box<RawValue>>, ReadError> {
        let mut all = Vec::new();
        while self.peek(client, pace).await?.is_some() {
            all.extend(self.held.drain(..));
        }
        Ok(all)
    }

    /// Asks for the next page.
    async fn turn(&mut self, client: &Client) -> Result<(), ReadError> {
        let parameters = ListParams {
            limit: Some(self.limit),
            label_selector: self.labels.clone(),
            continue_token: match &self.next {
                Next::Token(token) => Some(token.clone()),
                Next::First | Next::None => None,
            },
            ..ListParams::default()
        };
        let answer = timeout(PATIENCE, fetch(client, &self.path, &parameters)).await;
        let answer = answer.map_err(|_elapsed| {
            ReadError::new(format!("no answer within {} s", PATIENCE.as_secs()))
        })??;
        let Some((status, text)) = answer else {
            if self.limit == 1 {
                let most = MAX_PAGE_BYTES >> 20;
                return Err(ReadError::new(format!("one object is over {most} MiB")));
            }
            self.limit = (self.limit / 4).max(1);
            return Ok(());
        };
        let page: Page = match serde_json::from_slice(&text) {
            Ok(page) => page,
            Err(_) if status != 200 => Page::default(),
            Err(error) => return Err(ReadError::new(format!("the list cannot be read: {error}"))),
        };
        let token = page.metadata.next().map(str::to_owned);
        match (status, token) {
            (200, token) => {
                self.held = page.items.unwrap_or_default();
                self.next = token.map_or(Next::None, Next::Token);
            }
            // The state the list began with is gone; this goes on with the present one.
            (410, Some(token)) => self.next = Next::Token(token),
            _ => {
                return Err(ReadError {
                    code: Some(status),
                    why: format!("the API server answered {status}: {}", page.message),
                });
            }
        }
        Ok(())
    }
}

/// Status and body of a page; none where it is too long.
async fn fetch(
    client: &Client,
    path: &str,
    parameters: &ListParams,
) -> Result<Option<(u16, Vec<u8>)>, ReadError> {
    let request = Request::new(path)
        .list(parameters)
        .map_err(|error| ReadError::new(error.to_string()))?;
    let response = client.send(request.map(Body::from)).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_PAGE_BYTES);
    match body.collect().await {
        Ok(body) => Ok(Some((status, body.to_bytes().into()))),
        Err(error) if error.is::<LengthLimitError>() => Ok(None),
        Err(error) => Err(ReadError::new(error.to_string())),
    }
}
