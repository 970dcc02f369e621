//! Startup, readiness and liveness probes, over HTTP and TCP.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::text;
use crate::bed::relay;

/// One probe of one life of a container.
#[derive(Debug)]
pub struct Probe {
    target: Target,
    period: Duration,
    timeout: Duration,
    failures_allowed: u64,
    successes_needed: u64,
    next: Instant,
    successes: u64,
    failures: u64,
}

#[derive(Debug)]
enum Target {
    Http {
        port: u16,
        path: String,
    },
    Tcp {
        port: u16,
    },
    /// What the stand-in cannot do fails, so that nobody takes it for done.
    Unknown,
}

impl Probe {
    /// The probe that a container asks for, with the API server's defaults for what it leaves out.
    pub fn new(probe: &Value, container: &Value) -> Option<Self> {
        if probe.is_null() {
            return None;
        }
        let number = |field: &str, default: u64| probe[field].as_u64().unwrap_or(default);
        Some(Self {
            target: target(probe, container),
            period: Duration::from_secs(number("periodSeconds", 10)),
            timeout: Duration::from_secs(number("timeoutSeconds", 1)),
            failures_allowed: number("failureThreshold", 3),
            successes_needed: number("successThreshold", 1),
            next: Instant::now() + Duration::from_secs(number("initialDelaySeconds", 0)),
            successes: 0,
            failures: 0,
        })
    }

    /// Probes when it is time to. `Some(true)` when the thresholds say that it holds, `Some(false)`
    /// when they say that it does not; nothing while they say neither.
    pub fn poll(&mut self, address: &str) -> Option<bool> {
        if Instant::now() < self.next {
            return None;
        }
        let succeeded = self.once(address).unwrap_or(false);
        self.next = Instant::now() + self.period;
        if succeeded {
            self.successes += 1;
            self.failures = 0;
            (self.successes >= self.successes_needed).then_some(true)
        } else {
            self.failures += 1;
            self.successes = 0;
            (self.failures >= self.failures_allowed).then_some(false)
        }
    }

    fn once(&self, address: &str) -> Option<bool> {
        let at = |port: u16| format!("{address}:{port}").parse::<SocketAddr>().ok();
        match &self.target {
            Target::Http { port, path } => {
                let (status, _) = relay::get_within(at(*port)?, path, self.timeout)?;
                Some((200..400).contains(&status))
            }
            Target::Tcp { port } => {
                Some(TcpStream::connect_timeout(&at(*port)?, self.timeout).is_ok())
            }
            Target::Unknown => None,
        }
    }
}

fn target(probe: &Value, container: &Value) -> Target {
    let http = &probe["httpGet"];
    if text(&http["scheme"]) != "HTTPS"
        && let Some(port) = port(&http["port"], container)
    {
        let path = match text(&http["path"]) {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        return Target::Http { port, path };
    }
    match port(&probe["tcpSocket"]["port"], container) {
        Some(port) => Target::Tcp { port },
        None => Target::Unknown,
    }
}

/// A port by its number, or by the name that the container gives it.
fn port(port: &Value, container: &Value) -> Option<u16> {
    let number = match port.as_str() {
        Some(name) => super::items(&container["ports"])
            .find(|candidate| candidate["name"] == name)?["containerPort"]
            .as_u64(),
        None => port.as_u64(),
    };
    u16::try_from(number?).ok()
}
