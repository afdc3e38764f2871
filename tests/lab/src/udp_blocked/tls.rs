//! TLS in front of a coordinator, as a reverse proxy has it: it speaks plain HTTP itself.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::error::{LabError, Trying};
use crate::namespace::{Namespace, run};

/// A certificate that vouches for itself.
pub(super) struct Certificate {
    /// Where it is, for programs that shall believe it.
    pub(super) file: PathBuf,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// Makes one for an address.
    pub(super) fn of(folder: &Path, address: Ipv4Addr) -> Result<Self, LabError> {
        let (file, key) = (folder.join("certificate.pem"), folder.join("certificate-key.pem"));
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]);
        command.args(["-days", "2", "-subj", "/CN=lab", "-addext", "basicConstraints=critical,CA:FALSE"]);
        command.args(["-addext", &format!("subjectAltName=IP:{address}")]);
        run(command.arg("-out").arg(&file).arg("-keyout").arg(&key))?;
        let wrong = |error: String| LabError::Unmet(format!("the certificate of the lab: {error}"));
        let chain = CertificateDer::from_pem_file(&file).map_err(|error| wrong(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| wrong(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![chain], key))
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { file, config: Arc::new(config) })
    }
}

/// Serves in the background until the program ends; its sockets live in `namespace`.
pub(super) fn serve(
    namespace: &Namespace,
    listen: SocketAddr,
    server: SocketAddr,
    certificate: &Certificate,
) -> Result<(), LabError> {
    let config = Arc::clone(&certificate.config);
    // Threads inherit the network of the thread that starts them.
    namespace.within(move || {
        let listener = TcpListener::bind(listen).trying("listen for TLS")?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                thread::spawn(move || carry(client, TcpStream::connect(server)?, config));
            }
        });
        Ok(())
    })
}

fn carry(mut client: TcpStream, mut server: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut buffer = vec![0; 64 << 10];
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut client)?;
        }
        let ready = {
            let mut ends = [
                PollFd::new(client.as_fd(), PollFlags::POLLIN),
                PollFd::new(server.as_fd(), PollFlags::POLLIN),
            ];
            poll(&mut ends, PollTimeout::NONE)?;
            ends.map(|end| end.any().unwrap_or(true))
        };
        if ready[0] {
            if tls.read_tls(&mut client)? == 0 {
                return Ok(());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            loop {
                match tls.reader().read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(len) => server.write_all(&buffer[..len])?,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        if ready[1] {
            match server.read(&mut buffer)? {
                0 => tls.send_close_notify(),
                len => tls.writer().write_all(&buffer[..len])?,
            }
            if tls.wants_write() {
                tls.write_tls(&mut client)?;
            }
        }
    }
}
