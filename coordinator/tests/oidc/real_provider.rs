//! A real provider on loopback: the npm package `oidc-provider` (`scripts/needs test` installs it), driven without a browser.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use coordinator::store::Role;
use serde_json::Value;

use super::{Begun, PUBLIC_URL, Stage, settings};

/// As tests/oidc/provider.mjs has it.
const CLIENT_SECRET: &str = "a secret: with signs/+&";

/// The most redirects of one sign-in.
const REDIRECTS_MAX: usize = 10;

struct RealProvider {
    child: Child,
    issuer: String,
    /// Kept open: what it prints later must not end it.
    _output: BufReader<ChildStdout>,
}

impl RealProvider {
    fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/oidc");
        assert!(folder.join("node_modules").exists(), "`scripts/needs test` installs tests/oidc");
        let mut child = Command::new("node")
            .args(["provider.mjs", &format!("{PUBLIC_URL}/oidc/callback")])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js is not installed: `scripts/needs test` does it");
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut issuer = String::new();
        while !issuer.starts_with("http://") {
            issuer.clear();
            assert_ne!(output.read_line(&mut issuer).unwrap(), 0, "it ended without telling its issuer");
        }
        Self { child, issuer: issuer.trim().to_owned(), _output: output }
    }

    /// What a browser does there for a person: from page to page with its cookies, until it is sent back. Gives the query.
    fn visit(&self, begun: &Begun, person: &str) -> String {
        let (mut url, mut jar) = (format!("{}&login_hint={person}", begun.url), BTreeMap::new());
        for _ in 0..REDIRECTS_MAX {
            if let Some((_, query)) = url.split_once("/oidc/callback?") {
                return query.to_owned();
            }
            let path = url.strip_prefix(&self.issuer).unwrap_or(&url).to_owned();
            url = self.get(&path, &mut jar);
        }
        panic!("it never ended: {url}")
    }

    /// Asks for a page; gives where it leads.
    fn get(&self, path: &str, jar: &mut BTreeMap<String, String>) -> String {
        let host = self.issuer.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        // A bound for a hanging test, never a wait.
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let head = answer.split("\r\n\r\n").next().unwrap();
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        let mut location = None;
        for (name, value) in headers {
            match name.to_lowercase().as_str() {
                "set-cookie" => {
                    let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                    jar.insert(name.to_owned(), value.to_owned());
                }
                "location" => location = Some(value.to_owned()),
                _ => {}
            }
        }
        location.unwrap_or_else(|| panic!("no redirect from {path}: {answer}"))
    }
}

impl Drop for RealProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn people_sign_in_with_a_real_provider_by_their_groups() {
    let provider = RealProvider::start();
    let stage = Stage::new(settings(&provider.issuer, CLIENT_SECRET));
    let sign_in = |person: &str| -> (String, Option<Value>) {
        let begun = stage.begin();
        let query = provider.visit(&begun, person);
        let (location, session) = stage.come_back(&begun.cookie, &query);
        (location, session.map(|session| stage.account(&session)))
    };
    let (location, ada) = sign_in("ada");
    assert_eq!((location.as_str(), &ada.unwrap()["name"]), ("/join/WDJB-MJHT", &"ada".into()));
    assert_eq!(stage.role_of("ada"), Some(Role::Admin));
    let (_, eve) = sign_in("eve");
    assert_eq!(eve.unwrap()["name"], "eve");
    assert_eq!(stage.role_of("eve"), Some(Role::Viewer));
    assert_eq!(sign_in("tom"), ("/?refused=no-access".to_owned(), None));
    sign_in("ada").1.unwrap();
    assert_eq!(stage.people(), 3, "who comes again is the same person");

    let begun = stage.begin();
    let query = provider.visit(&begun, "ada");
    assert!(stage.come_back(&begun.cookie, &query).1.is_some());
    assert_eq!(stage.come_back(&begun.cookie, &query).0, "/?refused=expired", "a replayed code");
    let wrong = Stage::new(settings(&provider.issuer, "not the secret"));
    let begun = wrong.begin();
    let query = provider.visit(&begun, "ada");
    assert_eq!(wrong.come_back(&begun.cookie, &query).0, "/?refused=provider");
}
