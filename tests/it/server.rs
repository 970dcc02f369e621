//! The server as callers meet it: real sockets, real TLS, an `Answer` of the tests' own.

mod support;

mod bodies;
mod child;
mod client_auth;
mod connections;
mod drain;
mod ops;
mod reload;
mod slow;
mod tls;
