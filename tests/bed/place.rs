//! Where a bed is: on loopback beside other things, or in a network namespace of its own.

use super::setup;

/// The address of the node, which is also the gateway of its pods, in a namespace of one's own.
pub const NODE_ADDRESS: &str = "10.244.0.1";
/// The `ClusterIP` of the Service `kubernetes` there, where pods reach the API server.
pub const API_ADDRESS: &str = "10.96.0.1";
const SERVICES: &str = "10.96.0.0/16";

/// How the API server is reached, and how it reaches Services.
#[derive(Clone, Debug)]
pub struct Place {
    /// The address of the API server for everybody.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The range of Services.
    pub services: String,
    /// The flags that depend on the place.
    pub flags: Vec<String>,
}

impl Place {
    /// A free port and a free range of Services inside 127/8: the API server's connection to a
    /// `ClusterIP` is one to loopback.
    pub fn loopback() -> Self {
        let services = setup::free_service_range();
        Self {
            host: "127.0.0.1".to_owned(),
            port: setup::free_address().port(),
            services: format!("{services}.0/24"),
            flags: setup::flags(&[
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                // Endpoints may not be loopback addresses, so the server's own cannot be recorded.
                "--endpoint-reconciler-type=none",
            ]),
        }
    }

    /// The addresses of a cluster. The API server dials the endpoints of a Service, which are pods
    /// with addresses of their own, and listens where a cluster's proxy would forward to it.
    pub fn namespace() -> Self {
        let mut flags =
            setup::flags(&["--bind-address=0.0.0.0", "--enable-aggregator-routing=true"]);
        flags.push(format!("--advertise-address={NODE_ADDRESS}"));
        Self {
            host: API_ADDRESS.to_owned(),
            port: 443,
            services: SERVICES.to_owned(),
            flags,
        }
    }

    /// The API server's URL.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.port)
    }
}
