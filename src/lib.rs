//! tidegate decides Kubernetes admission requests, manifests in CI and running objects by one engine.
//!
//! # The way data flows
//!
//! ```text
//! bytes -> review::Request -> subject::Input -> evaluate::needs -> [adapters fetch] -> facts::Facts
//!                                   ^                                                      |
//!   files (check, review) ----------|                                                      v
//!                                          AdmissionResponse <- report <- Verdict <- evaluate
//!                                          audit line, metrics, text, JSON, SARIF, JUnit
//!
//! ControlPolicy, ControlException -> cluster::policies::Store -> Policies in force -> evaluate
//!  (watched; files add to them)         last good version kept      swapped as a whole
//! ```
//!
//! Every door (the webhook, `check`, `review`) enters at [`subject::Input`] and leaves with an
//! [`evaluate::Verdict`]; the same input gives the same verdict through each of them.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | control | one thing the customer is responsible for and tidegate can check, `pod-security` |
//! | check | one rule inside a control, `pod-security/runAsNonRoot` |
//! | area | the row of the shared-responsibility model a control belongs to |
//! | violation | what a rule found, before a policy's mode is applied |
//! | finding | a violation with its mode and policies |
//! | mode | `off`, `audit` (record), `warn` (tell the client too), `enforce` (deny) |
//! | policy | which controls apply where, in which mode, with which settings |
//! | exception | a dated, owned, approved lowering of findings for named objects |
//! | break-glass | a policy opened for a bounded time: it only records |
//! | generation | the name of one state of policies and exceptions |
//! | fact | something outside the object that a rule needs, such as a namespace's labels |
//! | verdict | all findings of one subject and the answer that follows |
//!
//! # The two halves
//!
//! The pure half has no async, clock, environment, file system, network or Kubernetes client; a
//! test holds that. In reading order: [`json`] and [`objects`] (bytes to small borrowed structs),
//! [`review`] (the envelope), [`subject`] (the object, read when first asked for), [`path`],
//! [`control`] (what a control is), [`controls`] (the catalogue), [`policy`], [`facts`],
//! [`evaluate`], [`report`], [`document`] (YAML and JSON files as kubectl reads them), and [`drift`]
//! (the webhook configuration compared with what was installed).
//!
//! The adapters are [`server`] (accept loop, TLS, limits, drain), [`cluster`] (the API server: facts,
//! policies and exceptions, the Lease, status, certificates and the `caBundle`), [`cli`] and
//! [`commands`] (one file a subcommand).
//!
//! # Invariants
//!
//! 1. [`evaluate::evaluate`] is synchronous, deterministic and cannot fail. A fact that could not be
//!    had is a value, decided by the control's mode; no check is skipped for want of it.
//! 2. Nothing unknown is allowed by accident: an unreadable object, a panic in a control (caught for
//!    each), a missing fact each become a finding of the control they concern.
//! 3. Audit-only never changes an outcome: the cap in [`policy::Policies`] is applied in one place.
//! 4. Policies add up and the strictest mode wins; only an exception lowers, only while it is approved
//!    as it stands, and only until it expires.
//! 5. Every denial names control, check, field, what is wrong and how to fix it, one line a finding,
//!    in at most 4 KiB.
//! 6. Nothing is unbounded: bodies, bytes in flight, connections, lists, nesting, messages, warnings,
//!    annotations, metric series. Overload answers 429 with `Retry-After`.
//! 7. No text of a user can make tidegate call an address, and no value of a Secret, variable or
//!    token reaches a log, message or metric.
//! 8. Controls are registered in one explicit list, [`controls::ALL`].
//! 9. No unsafe code; no unwrap, expect, panic or indexing outside tests.
//! 10. What the API server cannot let us see is reported as declared, never as verified.
//!
//! # Parsing
//!
//! JSON is nine tenths of the cost of a decision. The envelope is decoded first and the objects stay
//! text ([`json::Raw`]): a request that no rule looks into never pays for its object, and one whose
//! object cannot be read is still answered with its uid. [`json`] is a reader of our own behind
//! serde's traits because skipping what nobody reads is where the time goes, and because Go's
//! reading of `null` is part of the contract; the test suite holds it equal to `serde_json`.

pub mod cli;
pub mod cluster;
pub mod commands;
pub mod control;
pub mod controls;
pub mod document;
pub mod drift;
pub mod evaluate;
pub mod facts;
pub mod json;
pub mod objects;
pub mod path;
pub mod policy;
pub mod report;
pub mod review;
pub mod server;
pub mod subject;
