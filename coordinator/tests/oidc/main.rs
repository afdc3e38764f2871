//! Signing in with an OpenID provider: one that lies as a test tells it to, and a real one.
#![cfg(feature = "oidc")]
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test fails by panicking")]

#[path = "../fixture/mod.rs"]
mod fixture;
mod groups;
mod hostile;
mod real_provider;
mod refusals;
mod secrets;

use std::collections::BTreeMap;

use coordinator::http::Site;
use coordinator::http::oidc::{Oidc, ProviderSettings};
use coordinator::service::identities::GroupRole;
use coordinator::service::{Caller, sign_in};
use coordinator::store::Role;
use fixture::Fixture;
use fixture::client::Server;
use hostile::{CLIENT_SECRET, Hostile};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const PUBLIC_URL: &str = "http://mesh.example";

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// The parameters of a query or a form.
pub(crate) fn parameters(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let (mut bytes, mut rest) = (Vec::new(), text.bytes());
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                }
                other => bytes.push(other),
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

pub(crate) fn settings(issuer: &str, client_secret: &str) -> ProviderSettings {
    ProviderSettings {
        issuer: issuer.to_owned(),
        client_id: "warren".into(),
        client_secret: Some(client_secret.to_owned()),
        roots: None,
        groups_claim: "groups".into(),
        insecure: false,
        redirect_url: format!("{PUBLIC_URL}/oidc/callback"),
    }
}

fn group(group: &str, role: Role) -> GroupRole {
    GroupRole { group: group.into(), organization: "default".into(), role }
}

/// A coordinator with a provider: members of `ops` are admins, of `everybody` viewers, of `bosses` owners.
pub(crate) struct Stage {
    pub(crate) server: Server,
}

/// A sign-in that was begun: what the browser holds.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) cookie: String,
    pub(crate) url: String,
    pub(crate) query: BTreeMap<String, String>,
}

impl Stage {
    pub(crate) fn new(settings: ProviderSettings) -> Self {
        let groups =
            vec![group("ops", Role::Admin), group("everybody", Role::Viewer), group("bosses", Role::Owner)];
        let oidc = Oidc::new("Company".into(), settings, groups).unwrap();
        let fixture = Fixture::new(1);
        let site = Site::new(fixture.coordinator.clone(), Some(PUBLIC_URL)).with_oidc(Some(oidc));
        Self { server: Server::start_site(fixture, site) }
    }

    /// The same installation, started anew with a provider and other groups.
    pub(crate) fn with_groups(self, provider: &Hostile, groups: Vec<GroupRole>) -> Self {
        let oidc = Oidc::new("Company".into(), settings(&provider.issuer, CLIENT_SECRET), groups).unwrap();
        let fixture = self.server.stop().restart();
        let site = Site::new(fixture.coordinator.clone(), Some(PUBLIC_URL)).with_oidc(Some(oidc));
        Self { server: Server::start_site(fixture, site) }
    }

    pub(crate) fn before(provider: &Hostile) -> Self {
        Self::new(settings(&provider.issuer, CLIENT_SECRET))
    }

    /// Begins at a path of the API, with cookies of the browser.
    pub(crate) fn begin_at(&self, path: &str, body: &Value, cookie: &str) -> Begun {
        let answer = self.server.send("POST", path, &[("Cookie", cookie)], body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        let url = told["url"].as_str().unwrap().to_owned();
        let query = parameters(url.split_once('?').unwrap().1);
        Begun { cookie: set_cookie(&answer.raw_head, "warren_oidc").unwrap(), url, query }
    }

    pub(crate) fn begin(&self) -> Begun {
        self.begin_at("/api/v1/oidc/sign-in", &json!({"back": "/join/WDJB-MJHT"}), "")
    }

    /// The browser comes back; gives where it is sent and its session's cookie.
    pub(crate) fn come_back(&self, cookie: &str, query: &str) -> (String, Option<String>) {
        let answer = self.server.send("GET", &format!("/oidc/callback?{query}"), &[("Cookie", cookie)], b"");
        assert_eq!(answer.status, 303, "{}", answer.body);
        let location =
            answer.raw_head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
        (location, set_cookie(&answer.raw_head, "warren_session"))
    }

    /// The same with the right state and some code.
    pub(crate) fn finish(&self, begun: &Begun) -> (String, Option<String>) {
        self.come_back(&begun.cookie, &format!("code=c&state={}", begun.query["state"]))
    }

    /// A whole sign-in before a provider that says these claims; gives the person's name.
    pub(crate) fn sign_in(&self, provider: &Hostile, claims: Value) -> Result<String, String> {
        let begun = self.begin();
        let mut says = provider.says();
        says.claims = claims;
        says.nonce.clone_from(&begun.query["nonce"]);
        drop(says);
        let (location, session) = self.finish(&begun);
        match session {
            Some(cookie) => Ok(self.account(&cookie)["name"].as_str().unwrap().to_owned()),
            None => Err(location),
        }
    }

    pub(crate) fn account(&self, cookie: &str) -> Value {
        let answer = self.server.send("GET", "/api/v1/account", &[("Cookie", cookie)], b"");
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// A session of somebody by name.
    pub(crate) fn session_of(&self, name: &str) -> String {
        let coordinator = &self.server.fixture.coordinator;
        let (person, _) = coordinator.store().read(|tx| tx.person_by_name(name)).unwrap().unwrap();
        let session =
            sign_in::open_session(coordinator.store(), coordinator.entropy(), now_ms(), (person.id, "x"));
        format!("warren_session={}", *session.unwrap().to_text())
    }

    /// Somebody by name, in a browser.
    pub(crate) fn caller_of(&self, name: &str) -> Caller {
        let cookie = self.session_of(name);
        let token = cookie.split_once('=').unwrap().1.parse().unwrap();
        Caller::of_session(self.server.fixture.coordinator.store(), now_ms(), &token).unwrap()
    }

    pub(crate) fn role_of(&self, name: &str) -> Option<Role> {
        let store = self.server.fixture.coordinator.store();
        let (person, _) = store.read(|tx| tx.person_by_name(name)).unwrap()?;
        let organization = self.organization();
        store.read(|tx| tx.memberships(person.id)).unwrap().get(&organization).copied()
    }

    pub(crate) fn organization(&self) -> Uuid {
        self.server.fixture.network.organization_id
    }

    pub(crate) fn people(&self) -> i64 {
        self.server.fixture.raw().query_row("SELECT count(*) FROM people", (), |row| row.get(0)).unwrap()
    }
}

/// A cookie of an answer, `name=value`; none where it is taken away.
fn set_cookie(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    let mut cookies = lines.map(|line| line.split(';').next().unwrap());
    let found = cookies.find(|cookie| cookie.starts_with(&format!("{name}=")))?;
    found.split_once('=').filter(|(_, value)| !value.is_empty()).map(|_| found.to_owned())
}
