//! HTTP to the coordinator: each call with its limits, each answer checked before it is believed.

mod call_error;
mod url;
mod web_socket;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use protocol::api::{
    API_PREFIX, DeviceAuthorizationRequest, DeviceAuthorizationResponse, DeviceKeyRequest, DeviceKeyResponse,
    EnrollRequest, EnrollResponse, Problem, ProblemCode, REPORT_BYTES_MAX, Report, ReportResponse,
};
use protocol::map_signature::{MapSignature, MapVerifyingKey};
use reqwest::header::{ACCEPT, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub(crate) use call_error::CallError;
pub(crate) use url::CoordinatorUrl;
pub(crate) use web_socket::WebSocket;

use crate::exit_guard::{ExitGuard, GuardedResolver};
use crate::net::through_nat64;
use crate::printable::printable;
use crate::state::{Identity, Token};

/// How long a connection may take: TCP and TLS over a slow satellite link take about 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a whole request and its answer may take, streams excepted.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest answer that is read outside of the map stream, in bytes.
const ANSWER_BYTES_MAX: usize = REPORT_BYTES_MAX;

/// The longest wait that `Retry-After` is believed to ask for: as long as the widest pause that a node makes by itself.
/// More would let one mistake of a proxy keep the node from its coordinator long after both are well again.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// A coordinator, seen by one node or by a machine that wants to become one.
#[derive(Debug, Clone)]
pub(crate) struct CoordinatorClient {
    http: reqwest::Client,
    url: CoordinatorUrl,
    token: Option<Token>,
    /// This node and the key that its coordinator signs with: that it was deleted is believed with a signature only.
    /// Shared with all copies, as it may be learned while they are in use.
    signer: Arc<OnceLock<(Uuid, MapVerifyingKey)>>,
    /// Told of each address before it is called; absent for a machine that is no node yet.
    exit_guard: Option<ExitGuard>,
}

impl CoordinatorClient {
    /// A client for `url`; without a token it can only enroll.
    ///
    /// # Errors
    /// Where the system's certificate store cannot be used.
    pub(crate) fn new(url: CoordinatorUrl, token: Option<Token>) -> Result<Self, CallError> {
        Self::build(url, token, None)
    }

    fn build(
        url: CoordinatorUrl,
        token: Option<Token>,
        exit_guard: Option<ExitGuard>,
    ) -> Result<Self, CallError> {
        // The first caller installs it; every later one finds it installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("warren/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30))
            // A redirect would carry the enrollment key to wherever it points.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(guard) = &exit_guard {
            http = http.dns_resolver(GuardedResolver::new(guard.clone()));
        }
        let http = http.build().map_err(|error| CallError::from_reqwest(&url, &error))?;
        Ok(Self { http, url, token, signer: Arc::default(), exit_guard })
    }

    /// A client for a node, which believes that it was deleted only where its coordinator signed that, and calls past an exit node.
    ///
    /// # Errors
    /// Where the system's certificate store cannot be used.
    pub(crate) fn of_node(identity: &Identity, exit_guard: &ExitGuard) -> Result<Self, CallError> {
        let token = Some(identity.token.clone());
        let client = Self::build(identity.coordinator.clone(), token, Some(exit_guard.clone()))?;
        if let Some(key) = identity.map_key {
            client.set_signer(identity.node_id, key);
        }
        Ok(client)
    }

    /// From now on what only the coordinator may say is believed with a signature of this key; the first one counts.
    pub(crate) fn set_signer(&self, node: Uuid, key: MapVerifyingKey) {
        let _ = self.signer.set((node, key));
    }

    /// Where the coordinator is.
    pub(crate) const fn url(&self) -> &CoordinatorUrl {
        &self.url
    }

    /// Makes this machine a node.
    pub(crate) async fn enroll(&self, request: &EnrollRequest) -> Result<EnrollResponse, CallError> {
        let call = self.http.post(self.page("/enroll")).json(request).timeout(CALL_TIMEOUT);
        self.read(call).await
    }

    /// Begins to wait for a person who lets this machine in.
    pub(crate) async fn begin_device_authorization(
        &self,
        request: &DeviceAuthorizationRequest,
    ) -> Result<DeviceAuthorizationResponse, CallError> {
        let call = self.http.post(self.page("/device-authorization")).json(request).timeout(CALL_TIMEOUT);
        self.read(call).await
    }

    /// Asks whether one did.
    pub(crate) async fn device_key(
        &self,
        request: &DeviceKeyRequest,
    ) -> Result<DeviceKeyResponse, CallError> {
        let page = self.page("/device-authorization/enrollment-key");
        self.read(self.http.post(page).json(request).timeout(CALL_TIMEOUT)).await
    }

    /// Tells what the node observed of itself.
    pub(crate) async fn report(&self, report: &Report) -> Result<ReportResponse, CallError> {
        let call = self.http.post(self.page("/report")).json(report).timeout(CALL_TIMEOUT);
        self.read(self.authorized(call)).await
    }

    /// Deletes the node.
    pub(crate) async fn delete_node(&self) -> Result<(), CallError> {
        let call = self.http.delete(self.page("/node")).timeout(CALL_TIMEOUT);
        self.send(self.authorized(call)).await.map(drop)
    }

    /// Opens the map stream, from after `revision` where one is known.
    pub(crate) async fn map_stream(&self, revision: Option<u64>) -> Result<Response, CallError> {
        let mut call = self.http.get(self.page("/map")).header(ACCEPT, "text/event-stream");
        if let Some(revision) = revision {
            call = call.header("Last-Event-ID", revision);
        }
        // No timeout for the whole: the stream has no end. The wait for its beginning has one.
        match tokio::time::timeout(CALL_TIMEOUT, self.send(self.authorized(call))).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::TimedOut { url: self.url.to_string() }),
        }
    }

    /// How long the coordinator takes to answer over an open connection, or what it takes to open one the first time.
    pub(crate) async fn rtt(&self) -> Result<Duration, CallError> {
        let start = Instant::now();
        let call = self.http.get(self.url.page("/healthz")).timeout(CALL_TIMEOUT);
        // What answers with an error may be a proxy whose coordinator is gone: no answer of the coordinator's.
        self.send(call).await?;
        Ok(start.elapsed())
    }

    fn page(&self, path: &str) -> reqwest::Url {
        self.url.page(&format!("{API_PREFIX}{path}"))
    }

    fn authorized(&self, call: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => call.bearer_auth(token.reveal()),
            None => call,
        }
    }

    async fn read<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, CallError> {
        let answer = self.send(call).await?;
        let body = self.body(answer).await?;
        serde_json::from_slice(&body).map_err(|error| CallError::Malformed {
            url: self.url.to_string(),
            why: format!("line {}, column {} of the answer is not as agreed", error.line(), error.column()),
        })
    }

    async fn send(&self, call: RequestBuilder) -> Result<Response, CallError> {
        let answer = self.execute(call).await?;
        self.judge(answer).await
    }

    /// Sends a request the way that this machine's network needs.
    async fn execute(&self, call: RequestBuilder) -> Result<Response, CallError> {
        let failed = |error: reqwest::Error| CallError::from_reqwest(&self.url, &error);
        let (http, request) = call.build_split();
        let mut request = request.map_err(failed)?;
        through_nat64(&mut request).await;
        if let (Some(guard), Some(address)) = (self.exit_guard.clone(), url::address(request.url())) {
            // It runs programs where an exit node is used. No resolver is asked for an address.
            drop(tokio::task::spawn_blocking(move || guard.learn(&address.to_string(), &[address])).await);
        }
        http.execute(request).await.map_err(failed)
    }

    /// Lets a successful answer through.
    async fn judge(&self, answer: Response) -> Result<Response, CallError> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(printable);
        if status.is_redirection() {
            let target = location.unwrap_or_else(|| "another place".to_owned());
            let why = format!("it redirects to {target}; use the coordinator's final URL");
            return Err(CallError::Malformed { url: self.url.to_string(), why });
        }
        let body = self.body(answer).await.unwrap_or_default();
        Err(self.refusal(status, retry_after, &body))
    }

    fn refusal(&self, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> CallError {
        let problem = serde_json::from_slice::<Problem>(body).ok();
        let code = problem.as_ref().map(|problem| problem.code);
        if status.is_server_error() || code == Some(ProblemCode::Unavailable) {
            let why =
                problem.map_or_else(|| format!("status {status}"), |problem| printable(&problem.to_string()));
            return CallError::Unavailable { url: self.url.to_string(), why, retry_after };
        }
        match problem {
            Some(Problem { code: ProblemCode::NodeDeleted, signature, .. })
                if !self.is_proof(signature.as_deref()) =>
            {
                let why = "it says that this node was deleted, without a signature of the coordinator that \
                    this node knows (older ones sign none; where it is true, `warren leave` ends it)";
                CallError::Unavailable { url: self.url.to_string(), why: why.to_owned(), retry_after }
            }
            Some(Problem { code, title, detail, .. }) => {
                let advice = call_error::advice(code, detail.as_deref());
                CallError::Refused { code, why: printable(&format!("{title}; {advice}")), retry_after }
            }
            None => CallError::Malformed {
                url: self.url.to_string(),
                why: format!("it answers with status {status} and no problem document"),
            },
        }
    }

    fn is_proof(&self, signature: Option<&MapSignature>) -> bool {
        self.signer.get().is_none_or(|(node, key)| {
            signature.is_some_and(|signature| signature.key() == *key && signature.is_deletion_of(*node))
        })
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, CallError> {
        let mut body = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| CallError::from_reqwest(&self.url, &error))?
        {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let why = format!("the answer is larger than {ANSWER_BYTES_MAX} bytes");
                return Err(CallError::Malformed { url: self.url.to_string(), why });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3); its date form is taken as absent, our coordinator does not use it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn client() -> CoordinatorClient {
        CoordinatorClient::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap()
    }

    #[test]
    fn a_problem_document_becomes_a_refusal_and_a_server_error_an_outage() {
        let used = br#"{"type":"x","title":"used \u001b[31mup","status":403,"code":"enrollment-key-used"}"#;
        let error = client().refusal(StatusCode::FORBIDDEN, None, used);
        let CallError::Refused { code: ProblemCode::EnrollmentKeyUsed, why, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(
            why.split(';').next(),
            Some("used [31mup"),
            "control characters of the other side never reach the terminal"
        );
        let error = client().refusal(StatusCode::BAD_GATEWAY, Some(Duration::from_secs(3)), b"<html>");
        assert!(matches!(error, CallError::Unavailable { retry_after: Some(_), .. }), "{error:?}");
        let error = client().refusal(StatusCode::NOT_FOUND, None, b"<html>");
        assert!(matches!(error, CallError::Malformed { .. }), "{error:?}");
    }

    #[test]
    fn a_deletion_is_believed_with_the_coordinators_signature_only() {
        let (node, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let [ours, theirs] = [1, 2]
            .map(|byte| protocol::map_signature::MapSigningKey::derive(&zeroize::Zeroizing::new([byte; 32])));
        let answer = |signature: Option<MapSignature>| {
            let mut problem = Problem::new(ProblemCode::NodeDeleted, 410, "gone", None);
            problem.signature = signature.map(Box::new);
            serde_json::to_vec(&problem).unwrap()
        };
        let is_believed = |client: CoordinatorClient, signature| {
            client.refusal(StatusCode::GONE, None, &answer(signature)).is_node_deleted()
        };
        let signing = || {
            let client = client();
            client.clone().set_signer(node, ours.verifying_key());
            client
        };
        assert!(is_believed(signing(), Some(ours.sign_deletion(node))));
        for signature in [None, Some(ours.sign_deletion(other)), Some(theirs.sign_deletion(node))] {
            assert!(!is_believed(signing(), signature), "{signature:?}");
        }
        assert!(is_believed(client(), None), "who knows no key has to believe it");
    }

    #[tokio::test]
    async fn an_answer_with_an_error_status_is_no_round_trip_to_the_coordinator() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = CoordinatorClient::new(url.parse().unwrap(), None).unwrap();
        let serve = async {
            for status in ["200 OK", "503 Service Unavailable", "404 Not Found"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let ask = async { [client.rtt().await, client.rtt().await, client.rtt().await] };
        let ((), [good, unavailable, unknown]) = tokio::join!(serve, ask);
        assert!(good.is_ok(), "{good:?}");
        assert!(unavailable.unwrap_err().to_string().contains("status 503"));
        assert!(unknown.unwrap_err().to_string().contains("status 404"));
    }

    #[test]
    fn retry_after_is_believed_within_reason() {
        let read = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("99999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(read("-1"), None);
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }
}
