//! Invitations by mail, before a real SMTP server on loopback: aiosmtpd (`scripts/needs test` installs it).
#![cfg(feature = "mail")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use coordinator::http::Site;
use coordinator::mail::{InvitationMail, Mailer};
use coordinator::service::resources::ResourceError;
use coordinator::service::sign_in;
use coordinator::store::Role;
use fixture::client::{Answer, Server};
use fixture::{Fixture, START};
use protocol::api::ProblemCode;
use serde_json::{Value, json};

const PASSWORD: &str = "a secret: with signs/+&@";

struct SmtpServer {
    child: Child,
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
}

impl SmtpServer {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mail/server.py");
        // The system's Python, which Debian's package belongs to.
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is not installed: `scripts/needs test` does it");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("aiosmtpd is not installed: `scripts/needs test` does it").unwrap();
        Self { child, port: port.parse().unwrap(), lines }
    }

    /// The next message that it took.
    fn message(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A coordinator that sends mail by a server on this port, and how its owner invites.
struct Stage {
    server: Server,
    cookie: String,
}

impl Stage {
    fn new(port: u16, password: Option<&str>) -> Self {
        let url = format!("smtp://warren@127.0.0.1:{port}");
        let from = "Warren <warren@mesh.example>";
        let mailer = Mailer::new(&url, password.map(str::to_owned), from).unwrap();
        let fixture = Fixture::new(1);
        let site = Site::new(fixture.coordinator.clone(), Some("http://mesh.example"));
        Self::with(fixture, site.with_mailer(Some(mailer)))
    }

    fn with(fixture: Fixture, site: Site) -> Self {
        let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
        let owner = store.read(|tx| tx.first_owner()).unwrap().unwrap().id;
        let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let now_ms = i64::try_from(now_ms).unwrap();
        let session = sign_in::open_session(store, entropy, now_ms, (owner, "a browser")).unwrap();
        let cookie = format!("warren_session={}", *session.to_text());
        Self { server: Server::start_site(fixture, site), cookie }
    }

    fn path(&self) -> String {
        format!("/api/v1/organizations/{}/invitations", self.server.fixture.network.organization_id)
    }

    fn invite(&self, address: &str) -> Answer {
        let wanted = json!({"role": "member", "mail_address": address}).to_string();
        self.server.send("POST", &self.path(), &[("Cookie", &self.cookie)], wanted.as_bytes())
    }

    fn invitations(&self) -> Vec<Value> {
        let answer = self.server.send("GET", &self.path(), &[("Cookie", &self.cookie)], b"");
        serde_json::from_str(&answer.body).unwrap()
    }
}

#[test]
fn an_invitation_that_names_an_address_is_sent_there_and_shown_all_the_same() {
    let mut smtp = SmtpServer::start();
    let stage = Stage::new(smtp.port, Some(PASSWORD));
    let answer = stage.invite("ada@example.org");
    assert_eq!(answer.status, 201, "{}", answer.body);
    let made: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(made["mail"], json!({"sent": true, "why": null}));
    let link = format!("http://mesh.example/invitation/{}", made["token"].as_str().unwrap());
    let message = smtp.message();
    assert_eq!(
        (&message["from"], &message["to"]),
        (&json!("warren@mesh.example"), &json!(["ada@example.org"]))
    );
    let content = message["content"].as_str().unwrap();
    // Long lines may be folded by quoted-printable.
    let whole = content.replace("=\r\n", "");
    assert!(whole.contains(&link) && whole.contains("owner invites you"), "{content}");
    assert!(
        content.contains("To: ada@example.org") && content.contains("From: Warren <warren@"),
        "{content}"
    );
    assert_eq!(stage.invitations()[0]["mail_address"], "ada@example.org");
}

#[test]
fn where_a_mail_cannot_be_sent_that_is_said_and_the_invitation_stays() {
    let smtp = SmtpServer::start();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (port, password, address, why) in [
        (smtp.port, Some(PASSWORD), "nobody@example.org", "no such mailbox"),
        (smtp.port, Some("wrong"), "ada@example.org", "535"),
        (smtp.port, None, "ada@example.org", "530"),
        (free, Some(PASSWORD), "ada@example.org", "refused"),
    ] {
        let stage = Stage::new(port, password);
        let answer = stage.invite(address);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let made: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(made["mail"]["sent"], false, "{made}");
        assert!(made["mail"]["why"].as_str().unwrap().contains(why), "{why}: {made}");
        assert!(made["token"].as_str().unwrap().starts_with("wiv_") && !answer.body.contains(PASSWORD));
        assert_eq!(stage.invitations().len(), 1);
    }
}

#[test]
fn an_account_and_an_organization_send_so_many_an_hour_and_invite_without_mail_all_the_same() {
    let fixture = Fixture::new(1);
    let invite_at = |fixture: &Fixture, name: &str, now_ms: i64, mail: Option<&str>| {
        let mut member = fixture.member(Role::Owner);
        let mut caller = (*member.caller).clone();
        caller.person.name = name.into();
        member.caller = Arc::new(caller);
        let wanted = json!({"role": "member", "mail_address": mail});
        let made = fixture
            .coordinator
            .call(now_ms, &member)
            .create_invitation(serde_json::from_value(wanted).unwrap());
        made.map(|made| made.invitation.id)
    };
    let invite = |name: &str, now_ms: i64, mail: Option<&str>| invite_at(&fixture, name, now_ms, mail);
    let (mail, owner) = (Some("ada@example.org"), fixture.member(Role::Owner));
    let call = fixture.coordinator.call(START, &owner);
    for minute in 0..20 {
        let id = invite("ada", START + minute * 60_000, mail).unwrap();
        call.delete_invitation(id).unwrap();
    }
    let now = START + 20 * 60_000;
    let refused = |error: ResourceError| {
        let ResourceError::TooMany { why, retry_after_s } = error else { panic!("{error:?}") };
        (why, retry_after_s)
    };
    let (why, wait_s) = refused(invite("ada", now, mail).unwrap_err());
    assert!(why.contains("an account sends at most 20") && why.contains("without an address"), "{why}");
    assert_eq!(wait_s, 40 * 60 + 1, "until the first one's hour is over; taking it back gives nothing back");
    invite("ada", now, None).unwrap();

    for _ in 0..20 {
        invite("bob", now, mail).unwrap();
    }
    for _ in 0..20 {
        invite("eve", now, mail).unwrap();
    }
    let (why, _) = refused(invite("tom", now, mail).unwrap_err());
    assert!(why.contains("an organization sends at most 60"), "{why}");
    let log = call.audit_log(None).unwrap();
    assert_eq!(log[0].details["mails_in_an_hour"], 60, "{:?}", log[0]);
    assert_eq!(log.iter().filter(|entry| entry.actor == "eve").count(), 20);
    let by_command = fixture.command(now, |call| {
        call.create_invitation(
            serde_json::from_value(json!({"role": "member", "mail_address": mail})).unwrap(),
        )
    });
    by_command.unwrap();

    let other = Fixture::new(2);
    for _ in 0..20 {
        invite_at(&other, "ada", START, mail).unwrap();
    }
    let later = START + 60 * 60 * 1000;
    assert!(invite_at(&other, "ada", later - 1, mail).is_err());
    invite_at(&other, "ada", later, mail).unwrap();
}

#[test]
fn too_many_mails_are_refused_over_http_with_the_time_to_wait() {
    let smtp = SmtpServer::start();
    let stage = Stage::new(smtp.port, Some(PASSWORD));
    (0..20).for_each(|_| assert_eq!(stage.invite("ada@example.org").status, 201));
    let answer = stage.invite("ada@example.org");
    assert_eq!((answer.status, answer.problem().code), (429, ProblemCode::TooManyRequests));
    assert!(answer.head.contains("retry-after: 3"), "{}", answer.head);
    assert_eq!(stage.invitations().len(), 20);
}

#[test]
fn the_admin_command_sends_one_with_the_settings_of_the_file() {
    let mut smtp = SmtpServer::start();
    let directory = tempfile::tempdir().unwrap();
    let (password, config) = (directory.path().join("password"), directory.path().join("c.toml"));
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let lines = format!(
        "smtp_url = \"smtp://warren@127.0.0.1:{}\"\nsmtp_password_file = \"{}\"\nmail_from = \"warren@mesh.example\"\n",
        smtp.port,
        password.display()
    );
    std::fs::write(&config, lines).unwrap();
    let state = directory.path().join("state");
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warren-coordinator"));
        command.args(["admin", "--json", "--data-dir"]).arg(&state).args(words);
        command.output().unwrap()
    };
    assert!(run(&["init"]).status.success());
    let url = ["--public-url", "http://mesh.example"];
    let invite = |more: &[&str]| {
        run(&[&["invitation", "create", "--mail", "ada@example.org"], &url[..], more].concat())
    };
    let without = invite(&[]);
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&without.stderr).contains("--smtp-url"));
    let made = invite(&["--config", config.to_str().unwrap()]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(made["mail"]["sent"], true, "{made}");
    let content = smtp.message()["content"].as_str().unwrap().replace("=\r\n", "");
    assert!(content.contains(made["link"].as_str().unwrap()), "{content}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_not_waited_for_longer_than_a_caller_would() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let mailer = Mailer::new(&url, None, "warren@mesh.example").unwrap();
    let mail = InvitationMail { to: "ada@example.org", link: "x", by: "owner", until: "tomorrow" };
    let begun = tokio::time::Instant::now();
    mailer.invite(mail).await.unwrap_err();
    assert!(begun.elapsed() <= std::time::Duration::from_secs(21), "{:?}", begun.elapsed());
}

#[test]
fn an_address_that_is_none_or_a_coordinator_without_mail_makes_no_invitation() {
    let smtp = SmtpServer::start();
    let stage = Stage::new(smtp.port, Some(PASSWORD));
    for bad in ["ada", "ada@example.org\r\nBcc: eve@example.org", "ada@example.org,eve@example.org"] {
        assert_eq!(stage.invite(bad).status, 400, "{bad}");
    }
    assert!(stage.invitations().is_empty());
    let fixture = Fixture::new(1);
    let site = Site::new(fixture.coordinator.clone(), Some("http://mesh.example"));
    let without = Stage::with(fixture, site);
    let answer = without.invite("ada@example.org");
    assert!(answer.status == 400 && answer.body.contains("sends no mail"), "{}", answer.body);
    assert!(without.invitations().is_empty());
}
