//! Joining without an enrollment key (RFC 8628): shows a link and a code, and waits until a person has let the machine in.

use std::time::{Duration, Instant};

use protocol::api::{
    DeviceAuthorizationRequest, DeviceAuthorizationResponse, DeviceKeyRequest, EnrollmentKey, NodeName,
    OS_MAX, ProblemCode,
};
use protocol::key::PublicKey;
use reqwest::Url;
use serde::Serialize;

use super::Context;
use crate::coordinator_client::{CallError, CoordinatorClient};
use crate::failure::{Code, Failure};
use crate::printable::printable;

/// Bounds of the pause between two questions, in seconds, whatever the coordinator says.
const INTERVAL_S: std::ops::RangeInclusive<u64> = 1..=60;

/// What one `slow-down` adds to it, in seconds (RFC 8628 §3.5).
const SLOW_DOWN_S: u64 = 5;

/// The longest wait that is believed, in seconds.
const LIFETIME_MAX_S: u64 = 3600;

/// How much longer than told it waits: somebody may have decided in the last moment.
const GRACE: Duration = Duration::from_secs(90);

/// How long it waits for a turn to ask at all: those who are before it wait for ten minutes at most.
const TURN_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The pause before it asks for its turn again where the coordinator does not say, and the bounds of what it may say.
const TURN_PAUSE: Duration = Duration::from_secs(30);
const TURN_PAUSE_MIN: Duration = Duration::from_secs(1);
const TURN_PAUSE_MAX: Duration = Duration::from_secs(120);

/// The longest code that is shown, in characters; ours have nine.
const CODE_MAX: usize = 32;

/// What a script shows to a person: one line of `warren join --json`, before the one that tells the end.
#[derive(Debug, Serialize)]
struct Invitation<'a> {
    version: &'static str,
    state: &'static str,
    verification_uri: &'a str,
    verification_uri_complete: &'a str,
    user_code: &'a str,
    expires_in: u64,
    interval: u64,
    name: &'a NodeName,
    public_key: PublicKey,
}

/// Where a person decides, and what they compare.
struct Page {
    short: String,
    complete: String,
    code: String,
}

/// Waits for an enrollment key that a person gives.
///
/// # Errors
/// A refusal, nobody who decides in time, or a coordinator that cannot be asked.
pub(super) async fn obtain(
    context: &Context,
    client: &CoordinatorClient,
    (name, public_key): (&NodeName, PublicKey),
) -> Result<EnrollmentKey, Failure> {
    let request = DeviceAuthorizationRequest { name: name.clone(), public_key, os: operating_system() };
    let begun = begin(context, client, &request).await?;
    let page = page(client, &begun)?;
    let interval = u64::from(begun.interval).clamp(*INTERVAL_S.start(), *INTERVAL_S.end());
    let lifetime = u64::from(begun.expires_in).min(LIFETIME_MAX_S);
    if context.terminal.wants_json() {
        context.terminal.json_line(&Invitation {
            version: env!("CARGO_PKG_VERSION"),
            state: "waiting",
            verification_uri: &page.short,
            verification_uri_complete: &page.complete,
            user_code: &page.code,
            expires_in: lifetime,
            interval,
            name,
            public_key,
        })?;
    } else {
        let minutes = lifetime.div_ceil(60);
        context.terminal.line(&format!(
            "To let this machine in, open\n\n    {}\n\nand check that it shows the code {}. Waiting for up to {minutes} min …",
            page.complete, page.code
        ));
    }
    let ask = DeviceKeyRequest { device_code: begun.device_code };
    let give_up = Instant::now() + Duration::from_secs(lifetime) + GRACE;
    wait(client, &ask, interval, give_up).await
}

/// Asks to wait for a person, again where too many others do.
async fn begin(
    context: &Context,
    client: &CoordinatorClient,
    request: &DeviceAuthorizationRequest,
) -> Result<DeviceAuthorizationResponse, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        let error = match client.begin_device_authorization(request).await {
            Ok(begun) => return Ok(begun),
            Err(error) => error,
        };
        let Some(pause) = turn(&error, waited) else { return Err(explain(error)) };
        // Not on stdout, whose first line is the link for a script.
        context.terminal.error(&format!("{error}; trying again in {} s …", pause.as_secs()));
        tokio::time::sleep(pause).await;
        waited += pause;
    }
}

/// How long to wait for a turn after this error and so much waiting; `None` where waiting does not help, or not any more.
fn turn(error: &CallError, waited: Duration) -> Option<Duration> {
    let CallError::Refused { code: ProblemCode::TooManyRequests, retry_after, .. } = error else {
        return None;
    };
    let pause = retry_after.unwrap_or(TURN_PAUSE).clamp(TURN_PAUSE_MIN, TURN_PAUSE_MAX);
    (waited + pause <= TURN_PATIENCE).then_some(pause)
}

async fn wait(
    client: &CoordinatorClient,
    ask: &DeviceKeyRequest,
    mut interval: u64,
    give_up: Instant,
) -> Result<EnrollmentKey, Failure> {
    loop {
        tokio::time::sleep(Duration::from_secs(interval)).await;
        let error = match client.device_key(ask).await {
            Ok(answer) => return Ok(answer.enrollment_key),
            Err(error) => error,
        };
        interval = match &error {
            CallError::Refused { code: ProblemCode::AuthorizationPending, .. } => interval,
            CallError::Refused { code: ProblemCode::SlowDown, .. } => interval + SLOW_DOWN_S,
            CallError::Refused { code: ProblemCode::ExpiredToken, .. } => {
                return Err(Failure::new(Code::TimedOut, error.to_string()));
            }
            // Less often where the coordinator has other troubles (RFC 8628 §3.5).
            CallError::Refused { code: ProblemCode::TooManyRequests, .. }
            | CallError::Unreachable { .. }
            | CallError::TimedOut { .. }
            | CallError::Unavailable { .. } => interval * 2,
            CallError::Refused { .. } | CallError::Malformed { .. } => return Err(error.into()),
        }
        .min(*INTERVAL_S.end());
        if Instant::now() > give_up {
            return Err(Failure::new(Code::TimedOut, format!("nobody let this machine in: {error}")));
        }
    }
}

/// An older coordinator knows nothing of this.
fn explain(error: CallError) -> Failure {
    match error {
        CallError::Refused { code: ProblemCode::NotFound, .. } => Failure::new(
            Code::Refused,
            "this coordinator lets no machine in without an enrollment key: set WARREN_ENROLLMENT_KEY or give --enrollment-key-file",
        ),
        CallError::Refused { .. }
        | CallError::Unreachable { .. }
        | CallError::TimedOut { .. }
        | CallError::Unavailable { .. }
        | CallError::Malformed { .. } => error.into(),
    }
}

/// What is shown to a person: the coordinator's own address where it tells one, else the one that this machine uses.
fn page(client: &CoordinatorClient, begun: &DeviceAuthorizationResponse) -> Result<Page, Failure> {
    let code = printable(&begun.user_code);
    if code.is_empty() || code.chars().count() > CODE_MAX {
        let why = "the code cannot be a code".to_owned();
        return Err(CallError::Malformed { url: client.url().to_string(), why }.into());
    }
    let told = |url: Option<&str>| {
        let url = Url::parse(url?).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| url.to_string())
    };
    let own = |path: &str| client.url().page(path).to_string();
    let short = told(begun.verification_uri.as_deref()).unwrap_or_else(|| own("/join"));
    let complete = told(begun.verification_uri_complete.as_deref());
    Ok(Page { short, complete: complete.unwrap_or_else(|| own(&format!("/join/{code}"))), code })
}

/// The operating system, as it calls itself.
fn operating_system() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let named = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = printable(named.unwrap_or(std::env::consts::OS).trim_matches(['"', '\'']));
    let name: String = name.chars().take(OS_MAX).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_waits_for_its_turn_as_it_is_told_within_bounds_and_not_for_ever() {
        let busy = |retry_after: Option<u64>| CallError::Refused {
            code: ProblemCode::TooManyRequests,
            why: "x".into(),
            retry_after: retry_after.map(Duration::from_secs),
        };
        let none = Duration::ZERO;
        for (told, waits) in [(None, 30), (Some(0), 1), (Some(45), 45), (Some(u64::MAX), 120)] {
            assert_eq!(turn(&busy(told), none), Some(Duration::from_secs(waits)), "{told:?}");
        }
        assert_eq!(turn(&busy(Some(60)), TURN_PATIENCE - Duration::from_secs(59)), None);
        let unreachable = CallError::TimedOut { url: "x".into() };
        assert_eq!(turn(&unreachable, none), None);
    }
}
