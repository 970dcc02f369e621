//! A way from outside to the API server of a cluster in namespaces of its own. A socket with a path
//! is a file, and reached through the file system from any network namespace.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::API_ADDRESS;
use super::setup;

/// The socket's name in the bed's folder.
const SOCKET: &str = "door";

/// The outer end: a port on loopback that leads to the API server, and a kubeconfig that names it.
#[derive(Debug)]
pub struct Door {
    folder: PathBuf,
    address: SocketAddr,
}

/// Called inside: leads what comes in at the socket to the API server, until this process ends.
pub(super) fn frame(folder: &Path) {
    // Short, since a socket's path has at most 107 bytes; made under another name so that it listens
    // once it is seen.
    let making = folder.join("d");
    let listener = UnixListener::bind(&making)
        .unwrap_or_else(|error| panic!("{}: no socket there: {error}", making.display()));
    std::fs::rename(&making, folder.join(SOCKET)).unwrap();
    std::thread::spawn(move || {
        for unix in listener.incoming().flatten() {
            if let Ok(tcp) = TcpStream::connect((API_ADDRESS, 443)) {
                join(unix, tcp);
            }
        }
    });
}

/// Called outside: whether the process inside has come so far.
pub(super) fn is_there(folder: &Path) -> bool {
    folder.join(SOCKET).exists()
}

impl Door {
    /// Listens on a free port for as long as this process runs.
    pub(super) fn open(folder: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let door = Self {
            folder: folder.to_owned(),
            address: listener.local_addr().unwrap(),
        };
        let url = format!("https://{}", door.address);
        let text = setup::kubeconfig(folder, "admin", &url).to_string();
        std::fs::write(door.kubeconfig(), text).unwrap();
        let socket = folder.join(SOCKET);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                if let Ok(unix) = UnixStream::connect(&socket) {
                    join(unix, tcp);
                }
            }
        });
        door
    }

    /// A kubeconfig for outside with the rights of an administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("outside.kubeconfig")
    }

    /// The bed's folder: logs, certificates, the API server's audit log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Passes on what each side says until it stops talking.
fn join(unix: UnixStream, tcp: TcpStream) {
    use std::net::Shutdown::{Both, Write};
    let (unix, tcp) = (Arc::new(unix), Arc::new(tcp));
    let (back, forth) = (Arc::clone(&unix), Arc::clone(&tcp));
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut &*unix, &mut &*tcp);
        let _ = tcp.shutdown(if copied.is_ok() { Write } else { Both });
    });
    std::thread::spawn(move || {
        let copied = std::io::copy(&mut &*forth, &mut &*back);
        let _ = back.shutdown(if copied.is_ok() { Write } else { Both });
    });
}
