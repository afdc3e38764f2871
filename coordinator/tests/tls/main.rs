//! The coordinator speaks TLS itself: to a client that checks the certificate, and with a new certificate in time.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test fails by panicking")]

mod acme;
#[expect(dead_code, reason = "plain connections are of no use here")]
#[path = "../served/mod.rs"]
mod served;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::api::MapEvent;
use protocol::key::PrivateKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use served::{Served, admin, data_line, enroll_body, enrolled, run};

const NAME: &str = "mesh.example";

type Secured = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// Writes a new certificate with its key.
fn write_pair(directory: &Path) -> (PathBuf, PathBuf) {
    write_pair_for(directory, NAME)
}

fn write_pair_for(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    (certificate, key)
}

/// Sends a request over TLS to a server of this name, for which the certificate in this file vouches.
fn request(
    address: &str,
    name: &str,
    certificate: &Path,
    head: &str,
    body: &str,
) -> std::io::Result<Secured> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let server_name = name.to_owned().try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), server_name).unwrap();
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream = StreamOwned::new(connection, socket);
    let (length, kind) = (body.len(), "application/json");
    write!(
        stream,
        "{head} HTTP/1.1\r\nHost: {name}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    Ok(BufReader::new(stream))
}

fn served(directory: &Path, certificate: &Path, key: &Path) -> Served {
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let words = ["--tls-cert", certificate, "--tls-key", key, "--public-url", "https://mesh.example"];
    Served::start_with(directory, &words)
}

#[test]
fn a_node_enrolls_and_follows_its_map_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    admin(&state, &["init"]);
    let (certificate, key) = write_pair(directory.path());
    let served = served(&state, &certificate, &key);
    let private_key = PrivateKey::from_random([3; 32]);
    let body = enroll_body(&state, &private_key, "web");
    let mut answer = request(&served.address, NAME, &certificate, "POST /api/v1/enroll", &body).unwrap();
    let token = enrolled(&mut answer, &private_key);

    let head = format!("GET /api/v1/map HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Rest:");
    let mut map = request(&served.address, NAME, &certificate, &head, "").unwrap();
    let first = MapEvent::parse("snapshot", &data_line(&mut map).unwrap()).unwrap();
    let Some(MapEvent::Snapshot(mut known)) = first else { panic!("a snapshot") };
    assert_eq!(known.relays[0].url.as_deref(), Some("https://mesh.example/api/v1/relay"));
    let public_key = PrivateKey::from_random([4; 32]).public_key().to_string();
    let plain = ["--name", "printer", "--public-key", &public_key, "--endpoint", "198.51.100.4:51820"];
    admin(&state, &[&["node", "add", "--network", "default"], &plain[..]].concat());
    known.apply(serde_json::from_str(&data_line(&mut map).unwrap()).unwrap()).unwrap();
    assert_eq!(known.peers[0].name.as_str(), "printer");
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn browsers_are_told_to_come_by_https_only() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = write_pair(directory.path());
    let served = served(directory.path(), &certificate, &key);
    let mut answer = request(&served.address, NAME, &certificate, "GET /healthz", "").unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(answer.read_line(&mut head).unwrap(), 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.to_lowercase().contains("strict-transport-security: max-age="), "{head}");
}

#[test]
fn a_new_certificate_is_shown_after_sighup_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = write_pair(directory.path());
    let mut served = served(directory.path(), &certificate, &key);
    let old = directory.path().join("old.pem");
    std::fs::copy(&certificate, &old).unwrap();
    let answers = |served: &Served, certificate: &Path| {
        let answer = request(&served.address, NAME, certificate, "GET /healthz", "");
        answer.is_ok_and(|mut answer| answer.read_exact(&mut [0; 12]).is_ok())
    };

    std::fs::write(&key, "no key at all").unwrap();
    served.signal("HUP");
    served.logged("the new certificate is not used");
    assert!(answers(&served, &old));

    write_pair(directory.path());
    served.signal("HUP");
    served.logged("the new certificate is used");
    assert!(answers(&served, &certificate));
    assert!(!answers(&served, &old), "the old certificate is shown no more");
}

#[test]
fn what_is_wrong_with_the_files_is_said_in_one_line_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = write_pair(directory.path());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0"];
    for (words, code, why) in [
        (vec!["--tls-cert", certificate, "--tls-key", "/nonexistent.pem"], 1, "/nonexistent.pem"),
        (vec!["--tls-cert", key, "--tls-key", key], 1, "holds no certificate"),
        (vec!["--tls-cert", certificate], 2, "--tls-key too"),
        (
            vec!["--tls-cert", certificate, "--tls-key", key, "--public-url", "http://mesh.example"],
            2,
            "https://",
        ),
        (vec!["--acme-domain", "localhost"], 2, "no name such as"),
    ] {
        let output = run(directory.path(), &[&serve, &words[..]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        let last = error.trim_end().lines().last().unwrap();
        assert!(last.contains(why), "{words:?}: {error}");
    }
}
