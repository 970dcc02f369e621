//! A pod's network: a namespace, one link to the node, an address.

use std::process::Command;

use crate::bed::place::NODE_ADDRESS;

/// The network namespace of one pod; gone, with its link, when dropped.
#[derive(Debug)]
pub struct Network {
    name: String,
    /// The pod's address.
    pub address: String,
}

impl Network {
    /// Makes the network of the pod with this number, which must be used once.
    pub fn new(number: u32) -> Result<Self, String> {
        let address = format!("10.244.{}.{}", number >> 8, number & 0xff);
        let network = Self {
            name: format!("pod{number}"),
            address,
        };
        let (name, address) = (&network.name, &network.address);
        // The node's end has no address of its own: the node's is on its loopback interface, and the
        // kernel answers for it on every link.
        let commands = format!(
            "ip netns add {name}
             ip link add {name} type veth peer name eth0 netns {name}
             ip link set {name} up
             ip route add {address}/32 dev {name} src {NODE_ADDRESS}
             ip -n {name} link set lo up
             ip -n {name} address add {address}/32 dev eth0
             ip -n {name} link set eth0 up
             ip -n {name} route add {NODE_ADDRESS} dev eth0
             ip -n {name} route add default via {NODE_ADDRESS} dev eth0"
        );
        let output = Command::new("sh")
            .args(["-e", "-c", &commands])
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(network);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("the network of the pod cannot be made: {said}"))
    }

    /// The file that names the namespace to `nsenter`.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .output();
    }
}
