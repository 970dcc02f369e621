//! What a right answer is.

use serde::Deserialize;

use crate::Failure;
use crate::samples::{Expect, Sample, UID};

/// Whose answers a client reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answers {
    /// The echo server: always the same, allowed, with the uid of the samples.
    Echo,
    /// tidegate: the uid of the request, the verdict the sample expects.
    Tidegate,
}

/// Checks the answers of one connection.
///
/// The first answer is read field by field. Those after it must equal it byte for byte but for the
/// uid, or be read field by field too.
#[derive(Debug)]
pub(crate) struct Check {
    answers: Answers,
    expect: Expect,
    first: Option<First>,
}

#[derive(Debug)]
struct First {
    before: Vec<u8>,
    after: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    uid: String,
    allowed: bool,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    code: Option<u16>,
}

impl Check {
    /// Checks for the answers that whoever gives them owes to `sample`.
    pub(crate) fn new(answers: Answers, sample: &Sample) -> Self {
        let expect = if answers == Answers::Echo {
            Expect::Allowed
        } else {
            sample.expect
        };
        Check {
            answers,
            expect,
            first: None,
        }
    }

    /// Checks the answer to the request whose uid ends in the 12 digits of `serial`.
    pub(crate) fn answer(&mut self, body: &[u8], serial: &str) -> Result<(), Failure> {
        let serial = if self.answers == Answers::Echo {
            "000000000000"
        } else {
            serial
        };
        if let Some(first) = &self.first
            && body
                .strip_prefix(first.before.as_slice())
                .is_some_and(|rest| {
                    rest.strip_prefix(serial.as_bytes()) == Some(first.after.as_slice())
                })
        {
            return Ok(());
        }
        self.read(body, serial)
            .map_err(|why| format!("wrong answer: {why}: {}", String::from_utf8_lossy(body)))?;
        let at = body
            .windows(serial.len())
            .position(|window| window == serial.as_bytes());
        self.first = at.and_then(|at| {
            let (before, rest) = body.split_at_checked(at)?;
            let after = rest.get(serial.len()..)?;
            Some(First {
                before: before.to_vec(),
                after: after.to_vec(),
            })
        });
        Ok(())
    }

    fn read(&self, body: &[u8], serial: &str) -> Result<(), Failure> {
        let review: Review = serde_json::from_slice(body)?;
        let uid = format!("{}{serial}", UID.get(..UID.len() - 12).unwrap_or_default());
        if review.kind != "AdmissionReview" || review.api_version != "admission.k8s.io/v1" {
            return Err("no AdmissionReview v1".into());
        }
        if review.response.uid != uid {
            return Err(format!("the uid is not {uid}").into());
        }
        let status = review.response.status;
        match (self.expect, review.response.allowed, status) {
            (Expect::Allowed, true, _) => Ok(()),
            (Expect::Denied, false, Some(status))
                if status.code == Some(403)
                    && status
                        .message
                        .starts_with("tidegate denies Pod \"checkout-") =>
            {
                Ok(())
            }
            (expect, ..) => Err(format!("{expect:?} was expected").into()),
        }
    }
}
