//! A coordinator of a few lines, which answers as a test tells it to and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::{EnrollRequest, EnrollResponse, Problem, ProblemCode};
use uuid::Uuid;

/// The node token of every node that it enrolls.
pub(crate) const TOKEN: &str = "wnt_canary-of-the-node-token";

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status, headers and a body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// The connection closes without a word.
    Nothing,
}

pub(crate) struct Coordinator {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Coordinator {
    /// Answers every request by `answer`, as long as the test runs.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &seen, answer.as_ref()));
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: &(dyn Fn(&Request) -> Answer + Send + Sync)) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = Request { line, headers, body };
    let answer = answer(&request);
    seen.lock().unwrap().push(request);
    let Answer::Whole(status, headers, body) = answer else { return };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    // The agent may have given up.
    let _ = reader.into_inner().write_all(format!("{head}{body}").as_bytes());
}

/// What a real coordinator would answer to a sound enrollment.
pub(crate) fn enroll(request: &Request) -> Answer {
    json(&enroll_response(request))
}

pub(crate) fn enroll_response(request: &Request) -> EnrollResponse {
    let asked: EnrollRequest = serde_json::from_slice(&request.body).unwrap();
    let sealed = protocol::sealed::seal(TOKEN.as_bytes(), &asked.public_key, [9; 32]).unwrap();
    EnrollResponse {
        node_id: Uuid::from_u128(7),
        name: asked.name,
        network: "default".into(),
        addresses: vec!["100.92.0.7/16".parse().unwrap()],
        sealed_token: STANDARD.encode(sealed),
        sealed_credentials: None,
    }
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Answer {
    Answer::Whole(
        200,
        vec![("Content-Type", "application/json".into())],
        serde_json::to_string(value).unwrap(),
    )
}

pub(crate) fn problem(code: ProblemCode, status: u16) -> Answer {
    let problem = Problem::new(code, status, "the coordinator says no", None);
    Answer::Whole(status, Vec::new(), serde_json::to_string(&problem).unwrap())
}
