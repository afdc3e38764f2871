//! A certificate by ACME, from a real authority on loopback: Pebble (`scripts/needs test` installs it).

use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::served::{Served, command};
use super::{request, write_pair_for};

/// Pebble and the DNS server that it asks; killed with the test.
struct Authority {
    directory: tempfile::TempDir,
    children: Vec<Child>,
    api: u16,
    management: u16,
}

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An address whose port is free now for TCP and UDP: a DNS server takes both.
fn free_port_of_both() -> SocketAddr {
    let both = || {
        let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
        let address = tcp.local_addr().ok()?;
        UdpSocket::bind(address).ok().map(|_| address)
    };
    std::iter::repeat_with(both).take(100).flatten().next().unwrap()
}

fn spawn(command: &mut Command) -> Child {
    let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    spawned.expect("Pebble is not installed: `scripts/needs test` does it (Debian's package `pebble`)")
}

impl Authority {
    /// An authority that validates names at this port of 127.0.0.1.
    fn start(validates_at: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = write_pair_for(directory.path(), "localhost");
        let dns = free_port_of_both();
        let (api, management) = (free_port(), free_port());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{api}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificate, "privateKey": key,
            "httpPort": free_port(), "tlsPort": validates_at,
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        let file = directory.path().join("pebble.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let names = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""];
        let mut children = vec![spawn(Command::new("pebble-challtestsrv").args(names).args([
            "-dns01",
            &dns.to_string(),
            "-management",
            &format!("127.0.0.1:{}", free_port()),
        ]))];
        children.push(spawn(
            Command::new("pebble")
                .args(["-config", file.to_str().unwrap(), "-dnsserver", &dns.to_string()])
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", "0"),
        ));
        Self { directory, children, api, management }
    }

    /// The certificate of its own web servers.
    fn own_certificate(&self) -> std::path::PathBuf {
        self.directory.path().join("cert.pem")
    }

    /// The root of the certificates that it issues, once it answers.
    fn root(&self) -> std::path::PathBuf {
        let address = format!("127.0.0.1:{}", self.management);
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            let head = "GET /roots/0 HTTP/1.1\r\nConnection: close\r\nX-Rest:";
            let answered = request(&address, "localhost", &self.own_certificate(), head, "");
            let mut text = String::new();
            if answered.is_ok_and(|mut answer| answer.read_to_string(&mut text).is_ok()) {
                let pem = &text[text.find("-----BEGIN").unwrap()..];
                let file = self.directory.path().join("root.pem");
                std::fs::write(&file, pem).unwrap();
                return file;
            }
            assert!(Instant::now() < give_up, "Pebble does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn answers(address: &str, root: &Path) -> bool {
    let answer = request(address, "mesh.example", root, "GET /healthz", "");
    answer.is_ok_and(|mut answer| answer.read_exact(&mut [0; 12]).is_ok())
}

#[test]
fn a_certificate_comes_by_acme_and_serves_again_after_a_restart_without_the_authority() {
    let state = tempfile::tempdir().unwrap();
    let port = free_port();
    let authority = Authority::start(port);
    let root = authority.root();
    let start = || {
        let (listen, url) = (format!("127.0.0.1:{port}"), format!("https://localhost:{}/dir", authority.api));
        let mut command = command(
            state.path(),
            &["serve", "--listen", &listen, "--stun", "127.0.0.1:0", "--log-format", "json"],
        );
        command.args(["--acme-domain", "mesh.example", "--acme-contact", "ops@mesh.example"]);
        command.args([
            "--acme-directory",
            &url,
            "--acme-roots",
            authority.own_certificate().to_str().unwrap(),
        ]);
        Served::spawn(command)
    };

    let mut served = start();
    served.logged("there is a new certificate");
    assert!(answers(&served.address, &root));
    served.logged("the certificate is kept for the next start");
    assert_eq!(served.stop(), Some(0));
    let files: Vec<_> = std::fs::read_dir(state.path().join("acme")).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 2, "an account and a certificate: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }

    let mut served = start();
    served.logged("the certificate of the last run is used");
    assert!(answers(&served.address, &root));
}
