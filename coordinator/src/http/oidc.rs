//! Signing in with an OpenID provider: a browser is sent there, comes back with a code, and what the provider vouches for decides.
//!
//! Where nobody comes in, the browser goes to the start page with one word that says why; the words are the page's to explain.

mod flows;
#[cfg(feature = "oidc")]
mod http_client;
#[cfg(feature = "oidc")]
mod provider;
#[cfg(not(feature = "oidc"))]
#[path = "oidc/absent.rs"]
mod provider;
mod settings;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::http::header::{COOKIE, LOCATION, SET_COOKIE};
use actix_web::web::{Data, Json, Payload, Query, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::openapi::Refusal;
use super::problem::ApiError;
use super::resources::BODY_MAX;
use super::{Site, body, sign_in as http_sign_in};
use crate::Entropy;
use crate::service::identities::{self, GroupMappings, GroupRole, IdentityError, Purpose};
use crate::service::{Caller, InvitationToken, OidcBrowserToken, SessionToken};
use crate::store::{IdentityRow, SecretHash};
use flows::{Flow, Flows, LIFETIME_MS, local_path};
use provider::Provider;
pub use settings::ProviderSettings;
use settings::{FlowSecrets, ProviderError};

/// Where the provider sends browsers back to, below the public URL.
pub const CALLBACK: &str = "/oidc/callback";

/// The longest state and code that are looked at, in bytes.
const PARAMETER_MAX: usize = 4096;

/// The OpenID provider that people may sign in with.
pub struct Oidc {
    name: String,
    provider: Provider,
    group_roles: Arc<GroupMappings>,
    flows: Mutex<Flows>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc").field("issuer", &self.provider.issuer()).finish_non_exhaustive()
    }
}

impl Oidc {
    /// A provider by the name on its button. It is not asked before somebody wants to sign in.
    ///
    /// # Errors
    /// Settings that cannot work, in words.
    pub fn new(
        name: String,
        settings: ProviderSettings,
        group_roles: Vec<GroupRole>,
    ) -> Result<Self, String> {
        let group_roles = Arc::new(GroupMappings { issuer: settings.issuer.clone(), roles: group_roles });
        let provider = Provider::new(settings)?;
        Ok(Self { name, provider, group_roles, flows: Mutex::default() })
    }

    /// The name on the button.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The roles that follow from groups there.
    pub(super) const fn group_mappings(&self) -> &Arc<GroupMappings> {
        &self.group_roles
    }

    fn flows(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How somebody wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OidcBegin {
    /// The path of the dashboard to come back to; the start page where absent.
    #[serde(default)]
    back: String,
    /// The secret of an invitation's link, where that is what lets the person in.
    invitation: Option<String>,
}

/// Where to go on.
#[derive(Serialize, ToSchema)]
pub(super) struct OidcBegun {
    /// The provider's page; the answer's cookie binds what happens there to this browser.
    url: String,
}

/// Who the caller is at the OpenID provider.
#[derive(Serialize, ToSchema)]
pub(super) struct LinkedIdentity {
    /// The provider.
    issuer: String,
    /// Who, there.
    subject: String,
    /// Since when, Unix milliseconds.
    created_at_ms: i64,
}

/// What the provider sends back (RFC 6749 §4.1.2, RFC 9207).
#[derive(Deserialize)]
pub(super) struct Callback {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Begins a sign-in at the OpenID provider.
#[utoipa::path(post, path = "/api/v1/oidc/sign-in", tag = "account", request_body = OidcBegin, responses(
    (status = 200, description = "Where to go on", body = OidcBegun),
    Refusal,
))]
pub(super) async fn begin(site: Data<Site>, payload: Payload) -> Result<HttpResponse, ApiError> {
    let wanted: OidcBegin = body::json(payload, BODY_MAX).await?;
    let purpose = match wanted.invitation {
        None => Purpose::SignIn,
        Some(token) => {
            let token: InvitationToken = token.parse().map_err(|_| IdentityError::InvitationUnusable)?;
            Purpose::Invitation(token.hash())
        }
    };
    begun(&site, purpose, local_path(&wanted.back)).await
}

/// Begins to link who the caller is at the OpenID provider to their account.
#[utoipa::path(post, path = "/api/v1/account/identities", tag = "account", responses(
    (status = 200, description = "Where to go on", body = OidcBegun),
    Refusal,
))]
pub(super) async fn link(site: Data<Site>, caller: ReqData<Arc<Caller>>) -> Result<HttpResponse, ApiError> {
    let Some(session) = caller.session() else {
        return Err(ApiError::forbidden("an account is linked at a browser"));
    };
    let purpose = Purpose::Link { person: caller.person.id, session };
    begun(&site, purpose, "/account").await
}

/// Who the caller is at the OpenID provider.
#[utoipa::path(get, path = "/api/v1/account/identities", tag = "account", responses(
    (status = 200, description = "Oldest first", body = Vec<LinkedIdentity>),
    Refusal,
))]
pub(super) async fn identities(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
) -> Result<Json<Vec<LinkedIdentity>>, ApiError> {
    let person = caller.person.id;
    let rows = site.call(move |coordinator, _| coordinator.store().read(|tx| tx.identities(person))).await?;
    let told = |row: IdentityRow| LinkedIdentity {
        issuer: row.issuer,
        subject: row.subject,
        created_at_ms: row.created_at_ms,
    };
    Ok(Json(rows.into_iter().map(told).collect()))
}

/// Takes the link away.
#[utoipa::path(delete, path = "/api/v1/account/identities", tag = "account", responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(super) async fn unlink(site: Data<Site>, caller: ReqData<Arc<Caller>>) -> Result<HttpResponse, ApiError> {
    if caller.is_api_token() {
        return Err(ApiError::forbidden("an account is unlinked at a browser"));
    }
    let caller = caller.into_inner();
    site.call(move |coordinator, now_ms| identities::unlink(coordinator.store(), now_ms, &caller)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The provider sends a browser back.
pub(super) async fn callback(
    site: Data<Site>,
    request: HttpRequest,
    query: Query<Callback>,
) -> Result<HttpResponse, ApiError> {
    let https = site.https;
    let mut response = HttpResponse::SeeOther();
    match arrive(&site, &request, query.into_inner()).await {
        Ok((session, back)) => {
            tracing::info!("a person signed in with the OpenID provider");
            response.insert_header((LOCATION, back));
            if let Some(session) = session {
                response.append_header((SET_COOKIE, http_sign_in::session_cookie(&site, &session)));
            }
        }
        Err(Refused { page, word }) => {
            response.insert_header((LOCATION, format!("{page}?refused={word}")));
        }
    }
    response.append_header((SET_COOKIE, flow_cookie(https, "", 0)));
    Ok(response.finish())
}

/// Begins: remembers what must come back, and tells where to go.
async fn begun(site: &Site, purpose: Purpose, back: &str) -> Result<HttpResponse, ApiError> {
    let oidc = site.oidc.as_ref().ok_or_else(ApiError::not_found)?;
    let entropy = Entropy::system();
    let browser = OidcBrowserToken::from_random(entropy.secret());
    let text = || URL_SAFE_NO_PAD.encode(entropy.secret().as_slice());
    let secrets = FlowSecrets { state: text(), nonce: text(), verifier: text() };
    let url = oidc.provider.authorization_url(&secrets).await.map_err(|error| {
        tracing::error!(%error, "nobody can sign in with the OpenID provider");
        ApiError::provider_unavailable(oidc.name())
    })?;
    let now_ms = super::now_ms();
    let flow = Flow {
        browser: browser.hash(),
        nonce: secrets.nonce,
        verifier: secrets.verifier,
        purpose,
        back: back.to_owned(),
        begun_at_ms: now_ms,
    };
    oidc.flows().put(now_ms, state_hash(&secrets.state), flow);
    let cookie = flow_cookie(site.https, &browser.to_text(), LIFETIME_MS / 1000);
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).json(OidcBegun { url }))
}

/// A page of ours, and the word that it explains.
struct Refused {
    page: &'static str,
    word: &'static str,
}

impl From<&'static str> for Refused {
    fn from(word: &'static str) -> Self {
        Self { page: "/", word }
    }
}

/// Finds the sign-in that comes back.
async fn arrive(
    site: &Site,
    request: &HttpRequest,
    query: Callback,
) -> Result<(Option<SessionToken>, String), Refused> {
    let oidc = Arc::clone(site.oidc.as_ref().ok_or("expired")?);
    let state = query.state.clone().filter(|state| state.len() <= PARAMETER_MAX).ok_or("expired")?;
    let browser = flow_token(request, site.https).ok_or("expired")?;
    let flow = oidc.flows().take(super::now_ms(), state_hash(&state), browser.hash()).ok_or("expired")?;
    let page = if matches!(flow.purpose, Purpose::Link { .. }) { "/account" } else { "/" };
    judge(site, request, oidc, flow, query).await.map_err(|word| Refused { page, word })
}

/// Judges what came back; an error is the word for the page.
async fn judge(
    site: &Site,
    request: &HttpRequest,
    oidc: Arc<Oidc>,
    flow: Flow,
    query: Callback,
) -> Result<(Option<SessionToken>, String), &'static str> {
    if query.iss.is_some_and(|issuer| issuer != oidc.provider.issuer()) {
        tracing::warn!("a browser came back from another issuer than it was sent to");
        return Err("provider");
    }
    if let Some(error) = query.error {
        tracing::info!(
            error = error.chars().take(64).collect::<String>(),
            "the OpenID provider let nobody in"
        );
        return Err("denied");
    }
    let code = query.code.filter(|code| code.len() <= PARAMETER_MAX).ok_or("provider")?;
    let identity = oidc.provider.identity(code, &flow.nonce, flow.verifier).await.map_err(|error| {
        let error: ProviderError = error;
        tracing::error!(%error, "somebody could not sign in with the OpenID provider");
        "provider"
    })?;
    let (agent, purpose) = (http_sign_in::browser(request), flow.purpose);
    let come = site.call(move |coordinator, now_ms| {
        let (store, entropy) = (coordinator.store(), coordinator.entropy());
        let who = (identity, &*oidc.group_roles);
        let come = identities::come_in(store, entropy, now_ms, who, (purpose, &agent));
        match come {
            Err(IdentityError::Store(error)) => Err(error),
            other => Ok(other),
        }
    });
    match come.await {
        Ok(Ok(session)) => Ok((session, flow.back)),
        Ok(Err(error)) => Err(word(&error)),
        Err(_) => Err("unavailable"),
    }
}

const fn word(error: &IdentityError) -> &'static str {
    match error {
        IdentityError::NoAccess => "no-access",
        IdentityError::GroupsUnknown => "groups-unknown",
        IdentityError::InvitationUnusable => "invitation",
        IdentityError::LinkedElsewhere => "linked-elsewhere",
        IdentityError::SignedOut => "expired",
        IdentityError::Store(_) => "unavailable",
    }
}

fn state_hash(state: &str) -> SecretHash {
    SecretHash::of(&Sha256::digest(state.as_bytes()).into())
}

/// The cookie that binds a sign-in to the browser that began it. Lax, as it comes back from another site.
fn flow_cookie(https: bool, value: &str, max_age_s: i64) -> String {
    let secure = if https { "; Secure" } else { "" };
    let name = flow_cookie_name(https);
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}")
}

const fn flow_cookie_name(https: bool) -> &'static str {
    if https { "__Host-warren_oidc" } else { "warren_oidc" }
}

fn flow_token(request: &HttpRequest, https: bool) -> Option<OidcBrowserToken> {
    let cookies = request.headers().get_all(COOKIE).filter_map(|header| header.to_str().ok());
    let mut pairs =
        cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == flow_cookie_name(https))?;
    value.parse().ok()
}
