//! A provider that says what a test tells it to, with keys of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// The secret between it and the coordinator.
pub(crate) const CLIENT_SECRET: &str = "between-us-two";

/// What it says next.
pub(crate) struct Says {
    /// The claims of the ID token; `nonce`, `iss`, `aud`, `iat` and `exp` are right where they are not given.
    pub(crate) claims: Value,
    /// How the ID token is signed: `ES256`, `none` or `HS256` with the client's secret.
    pub(crate) alg: &'static str,
    /// Signed with a key that it does not publish.
    pub(crate) with_another_key: bool,
    /// What the UserInfo endpoint answers.
    pub(crate) user_info: Option<Value>,
    /// Instead of all answers of the token endpoint.
    pub(crate) token_answer: Option<(u16, String)>,
    /// Instead of what it says of itself.
    pub(crate) metadata: Value,
    /// The nonce of the sign-in under way.
    pub(crate) nonce: String,
}

pub(crate) struct Hostile {
    pub(crate) issuer: String,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) form: BTreeMap<String, String>,
}

struct Keys {
    own: EcdsaKeyPair,
    other: EcdsaKeyPair,
    random: SystemRandom,
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pair = || {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
        };
        Self { own: pair(), other: pair(), random }
    }

    fn jwks(&self) -> Value {
        let point = self.own.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "own", "x": x, "y": y}]})
    }

    fn sign(&self, says: &Says, claims: &Value) -> String {
        let head = json!({"alg": says.alg, "typ": "JWT", "kid": "own"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(claims));
        let signature = match says.alg {
            "none" => Vec::new(),
            "HS256" => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
                ring::hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            _ => {
                let key = if says.with_another_key { &self.other } else { &self.own };
                key.sign(&self.random, signed.as_bytes()).unwrap().as_ref().to_vec()
            }
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Hostile {
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// The same, behind TLS where there are settings for it.
    pub(crate) fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let issuer = format!("{scheme}://{}", listener.local_addr().unwrap());
        let says = Says {
            claims: json!({"sub": "ada-1"}),
            alg: "ES256",
            with_another_key: false,
            user_info: None,
            token_answer: None,
            metadata: json!({}),
            nonce: String::new(),
        };
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::new(Mutex::new(Vec::new())));
        let known = Known { issuer: issuer.clone(), says: Arc::clone(&says), asked: Arc::clone(&asked) };
        let (known, keys) = (Arc::new(known), Arc::new(Keys::new()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (known, keys, tls) = (Arc::clone(&known), Arc::clone(&keys), tls.clone());
                std::thread::spawn(move || match tls {
                    None => known.serve(&keys, stream.unwrap()),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).unwrap();
                        known.serve(&keys, StreamOwned::new(connection, stream.unwrap()));
                    }
                });
            }
        });
        Self { issuer, says, asked }
    }

    pub(crate) fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap()
    }

    /// What it was asked at a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path == path).cloned().collect()
    }
}

struct Known {
    issuer: String,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Known {
    fn serve(&self, keys: &Keys, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        let Some(asked) = read(&mut reader) else { return };
        let path = asked.path.clone();
        self.asked.lock().unwrap().push(asked);
        let (status, body) = self.answer(keys, &path);
        let head = format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: application/json\r\nLocation: {}/elsewhere\r\nContent-Length: {}\r\n\r\n",
            self.issuer,
            body.len()
        );
        // The coordinator may have given up.
        let mut stream = reader.into_inner();
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).and_then(|()| stream.flush());
    }

    fn answer(&self, keys: &Keys, path: &str) -> (u16, String) {
        let (says, issuer) = (self.says.lock().unwrap(), &self.issuer);
        match path {
            "/.well-known/openid-configuration" => {
                let mut told = json!({
                    "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                    "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
                    "response_types_supported": ["code"], "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                });
                if says.user_info.is_some() {
                    told["userinfo_endpoint"] = format!("{issuer}/userinfo").into();
                }
                told.as_object_mut().unwrap().extend(says.metadata.as_object().unwrap().clone());
                (200, told.to_string())
            }
            "/jwks" => (200, keys.jwks().to_string()),
            "/userinfo" => (200, says.user_info.clone().unwrap_or_default().to_string()),
            "/token" => says.token_answer.clone().unwrap_or_else(|| {
                let now_s = super::now_ms() / 1000;
                let mut claims = json!({
                    "iss": issuer, "aud": "warren", "nonce": says.nonce, "iat": now_s, "exp": now_s + 60,
                });
                claims.as_object_mut().unwrap().extend(says.claims.as_object().unwrap().clone());
                let token = keys.sign(&says, &claims);
                (200, json!({"access_token": "at", "token_type": "Bearer", "id_token": token}).to_string())
            }),
            _ => (404, "{}".to_owned()),
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let form = super::parameters(&body);
    Some(Asked { path, authorization, form })
}
