//! The OpenID provider: discovery, the address that a browser is sent to, and what a code is worth (OpenID Connect Core 1.0).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
    CoreTokenType,
};
use openidconnect::url::{Host, Url};
use openidconnect::{
    AdditionalClaims, AuthType, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError, Client,
    ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    Scope, SignatureVerificationError, StandardErrorResponse, StandardTokenResponse, SubjectIdentifier,
    TokenResponse, UserInfoClaims,
};
use reqwest::Certificate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http_client;
use super::settings::{FlowSecrets, ProviderError, ProviderSettings};
use crate::service::identities::Identity;

/// How long what the provider says of itself is believed. Keys change more seldom, and one that is not known is asked for at once.
const METADATA_KEPT: Duration = Duration::from_secs(60 * 60);

/// The longest subject (OpenID Connect Core §2), and the most groups that are looked at.
const SUBJECT_MAX: usize = 255;
const GROUPS_MAX: usize = 10_000;

/// Whatever else the provider says of somebody.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OtherClaims {
    #[serde(flatten)]
    all: BTreeMap<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

type TokenFields = IdTokenFields<
    OtherClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type ProviderClient = Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<TokenFields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The provider.
pub(super) struct Provider {
    settings: ProviderSettings,
    http: reqwest::Client,
    known: Mutex<Option<(Instant, Arc<CoreProviderMetadata>)>>,
}

impl Provider {
    /// A provider that is not asked yet: it may be down while the coordinator starts.
    pub(super) fn new(settings: ProviderSettings) -> Result<Self, String> {
        check_url(&settings.issuer, settings.insecure)?;
        let roots = settings.roots.as_deref().map(Certificate::from_pem_bundle).transpose();
        let roots = roots.map_err(|error| format!("the root certificates cannot be read: {error}"))?;
        if roots.as_ref().is_some_and(Vec::is_empty) {
            return Err("the file of root certificates holds none".into());
        }
        Ok(Self { http: http_client::client(roots)?, settings, known: Mutex::new(None) })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Where a browser is sent to.
    pub(super) async fn authorization_url(&self, secrets: &FlowSecrets) -> Result<String, ProviderError> {
        let client = self.client(false).await?;
        let verifier = PkceCodeVerifier::new(secrets.verifier.clone());
        let (state, nonce) = (secrets.state.clone(), secrets.nonce.clone());
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let request = client
            .authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce))
            .add_scope(Scope::new("profile".into()))
            .add_scope(Scope::new("email".into()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        Ok(request.url().0.into())
    }

    /// Who a code stands for.
    pub(super) async fn identity(
        &self,
        code: String,
        nonce: &str,
        verifier: String,
    ) -> Result<Identity, ProviderError> {
        let client = self.client(false).await?;
        let http = |request| http_client::ask(&self.http, request);
        let exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| unusable("it names no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let tokens = exchange.request_async(&http).await.map_err(token_error)?;
        let token = tokens.id_token().ok_or_else(|| unusable("it gives no ID token"))?;
        let nonce = Nonce::new(nonce.to_owned());
        // It may have changed its keys since we asked.
        let has_new_key = matches!(
            token.claims(&verifier_of(&client), &nonce),
            Err(ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
        );
        let client = if has_new_key { self.client(true).await? } else { client };
        let claims = token
            .claims(&verifier_of(&client), &nonce)
            .map_err(|error| unusable(&format!("the ID token does not verify: {error}")))?;
        let mut found = Claims::of(claims.additional_claims());
        found.username = claims.preferred_username().map(|name| name.as_str().to_owned());
        found.email = claims.email().map(|mail| mail.as_str().to_owned());
        let subject = claims.subject().as_str().to_owned();
        if !found.is_whole(&self.settings.groups_claim) {
            // What is asked for by a scope may be told here instead of in the ID token (OpenID Connect Core §5.4).
            let access = tokens.access_token().clone();
            if let Ok(asked) = client.user_info(access, Some(SubjectIdentifier::new(subject.clone()))) {
                let more: UserInfoClaims<OtherClaims, CoreGenderClaim> =
                    asked.request_async(&http).await.map_err(|error| unusable(&chain(&error)))?;
                let mut told = Claims::of(more.additional_claims());
                told.username = more.preferred_username().map(|name| name.as_str().to_owned());
                told.email = more.email().map(|mail| mail.as_str().to_owned());
                found.fill_from(told);
            }
        }
        found.into_identity(&self.settings, subject)
    }

    /// A client for what the provider says of itself; `anew` asks it again.
    async fn client(&self, anew: bool) -> Result<ProviderClient, ProviderError> {
        let metadata = self.metadata(anew).await?;
        let redirect = RedirectUrl::new(self.settings.redirect_url.clone());
        let redirect = redirect.map_err(|_| unusable("our own address is no URL"))?;
        let basic = CoreClientAuthMethod::ClientSecretBasic;
        let by_body = metadata.token_endpoint_auth_methods_supported().is_some_and(|known| {
            !known.contains(&basic) && known.contains(&CoreClientAuthMethod::ClientSecretPost)
        });
        let client = Client::from_provider_metadata(
            (*metadata).clone(),
            ClientId::new(self.settings.client_id.clone()),
            self.settings.client_secret.clone().map(ClientSecret::new),
        );
        let auth = if by_body { AuthType::RequestBody } else { AuthType::BasicAuth };
        Ok(client.set_redirect_uri(redirect).set_auth_type(auth))
    }

    async fn metadata(&self, anew: bool) -> Result<Arc<CoreProviderMetadata>, ProviderError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((asked, metadata)) = known.filter(|(asked, _)| !anew && asked.elapsed() < METADATA_KEPT) {
            let _ = asked;
            return Ok(metadata);
        }
        let issuer =
            IssuerUrl::new(self.settings.issuer.clone()).map_err(|_| unusable("its issuer is no URL"))?;
        let http = |request| http_client::ask(&self.http, request);
        let metadata = CoreProviderMetadata::discover_async(issuer, &http).await;
        let metadata = metadata.map_err(|error| ProviderError::Unreachable(chain(&error)))?;
        let endpoints = [
            Some(metadata.authorization_endpoint().url()),
            metadata.token_endpoint().map(|url| url.url()),
            metadata.userinfo_endpoint().map(|url| url.url()),
            Some(metadata.jwks_uri().url()),
        ];
        for endpoint in endpoints.into_iter().flatten() {
            check_url(endpoint.as_str(), self.settings.insecure).map_err(|why| unusable(&why))?;
        }
        let metadata = Arc::new(metadata);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&metadata)));
        Ok(metadata)
    }
}

/// Only what a provider signs with a key of its own is believed: never `none`, never with the client's secret.
fn verifier_of(client: &ProviderClient) -> openidconnect::IdTokenVerifier<'_, CoreJsonWebKey> {
    client.id_token_verifier().set_allowed_algs([
        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
        CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    ])
}

/// What is looked at of all claims.
struct Claims {
    username: Option<String>,
    email: Option<String>,
    other: BTreeMap<String, Value>,
}

impl Claims {
    fn of(other: &OtherClaims) -> Self {
        Self { username: None, email: None, other: other.all.clone() }
    }

    fn is_whole(&self, groups_claim: &str) -> bool {
        self.username.is_some() && self.other.contains_key(groups_claim)
    }

    fn fill_from(&mut self, told: Self) {
        self.username = self.username.take().or(told.username);
        self.email = self.email.take().or(told.email);
        for (name, value) in told.other {
            self.other.entry(name).or_insert(value);
        }
    }

    /// The groups; none where the provider does not tell them all here: a claim that is missing or no list, one that is kept
    /// elsewhere (OpenID Connect Core §5.6.2; Entra does so from 200 groups on), or more than are looked at.
    fn groups(&self, claim: &str) -> Option<BTreeSet<String>> {
        let elsewhere = self.other.get("_claim_names").and_then(|names| names.get(claim));
        match self.other.get(claim).filter(|_| elsewhere.is_none()) {
            Some(Value::String(one)) => Some(BTreeSet::from([one.clone()])),
            Some(Value::Array(several)) if several.len() <= GROUPS_MAX => {
                Some(several.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Some(Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_))
            | None => None,
        }
    }

    fn into_identity(self, settings: &ProviderSettings, subject: String) -> Result<Identity, ProviderError> {
        if subject.is_empty() || subject.len() > SUBJECT_MAX {
            return Err(unusable("the subject has not 1 to 255 bytes"));
        }
        let groups = self.groups(&settings.groups_claim);
        let name = self.username.or(self.email);
        Ok(Identity { issuer: settings.issuer.clone(), subject, name, groups })
    }
}

/// An address that secrets may be sent to.
fn check_url(text: &str, insecure: bool) -> Result<(), String> {
    let url = Url::parse(text).map_err(|_| format!("`{text}` is no URL"))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("`{text}` names no host")),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback || insecure => Ok(()),
        "http" => Err(format!("`{text}` is plain HTTP, which others can read and change; use https")),
        _ => Err(format!("`{text}` begins with neither https:// nor http://")),
    }
}

fn unusable(why: &str) -> ProviderError {
    ProviderError::Unusable(why.to_owned())
}

type TokenError =
    openidconnect::RequestTokenError<http_client::AskError, StandardErrorResponse<CoreErrorResponseType>>;

fn token_error(error: TokenError) -> ProviderError {
    match error {
        // The response itself may hold a token: it is not shown.
        TokenError::Parse(..) => unusable("it gives no tokens for the code"),
        TokenError::ServerResponse(refusal) => unusable(&format!("it refuses the code: {}", refusal.error())),
        TokenError::Request(error) => ProviderError::Unreachable(error.to_string()),
        TokenError::Other(why) => unusable(&why),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text += &format!(": {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_or_for_who_asked_for_it() {
        for good in ["https://id.example", "http://127.0.0.1:9", "http://localhost:9/realm", "http://[::1]:9"]
        {
            assert_eq!(check_url(good, false), Ok(()), "{good}");
        }
        for bad in ["http://id.example", "http://10.0.0.1", "http://localhost.evil.example", "ftp://id", "id"]
        {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
        assert!(check_url("http://id.example", true).is_ok());
    }
}
