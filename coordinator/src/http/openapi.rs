//! The API's description for programs: OpenAPI 3.1, made from the handlers; `docs/reference/openapi.json` is its copy.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use protocol::api::PROBLEM_CONTENT_TYPE;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use super::device_authorization;
use super::oidc;
use super::resources::{
    access_rules, account, api_tokens, audit_log, enrollment_keys, invitations, members, networks, nodes,
    organizations, relays, stun_servers,
};

/// Why a request is refused (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `protocol::api::Problem`, which knows nothing of OpenAPI")]
pub(crate) struct Problem {
    /// `urn:warren:problem:` and the code.
    #[schema(rename = "type")]
    kind: String,
    /// One sentence: what is wrong.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What to do.
    detail: Option<String>,
    /// The code itself, such as `not-found`.
    code: String,
}

/// What any call may answer instead: an `ApiError`.
pub(crate) struct Refusal;

impl IntoResponses for Refusal {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new().description("Why not").content(PROBLEM_CONTENT_TYPE, problem);
        BTreeMap::from([("4XX".to_owned(), response.build().into())])
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Warren coordinator", description = "What people and their programs administer. The operator is who runs the installation: an owner of the organization that was made first."),
    modifiers(&Credentials, &OperationIds),
    components(schemas(Problem)),
    security(("session" = []), ("api_token" = [])),
    paths(
        account::sign_in, account::show, account::change_password, account::sessions, account::end_session,
        account::methods, oidc::begin, oidc::identities, oidc::link, oidc::unlink,
        organizations::list, organizations::create, organizations::rename,
        members::list, members::change, members::remove,
        invitations::list, invitations::create, invitations::delete, invitations::accept, invitations::join,
        networks::list, networks::create, networks::change, networks::delete,
        nodes::list, nodes::create, nodes::show, nodes::change, nodes::delete,
        device_authorization::show, device_authorization::approve, device_authorization::refuse,
        enrollment_keys::list, enrollment_keys::create, enrollment_keys::revoke,
        access_rules::list, access_rules::create, access_rules::replace, access_rules::delete,
        api_tokens::list, api_tokens::create, api_tokens::revoke,
        audit_log::list,
        relays::list, relays::create, relays::show, relays::change, relays::delete,
        stun_servers::list, stun_servers::create, stun_servers::show, stun_servers::change, stun_servers::delete,
    )
)]
struct Api;

/// How callers prove who they are.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-warren_session")));
        components.add_security_scheme("session", cookie);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("api_token", SecurityScheme::Http(bearer));
    }
}

/// A name of its own for each call, as generators of clients need: the handler's, after its file's.
struct OperationIds;

impl Modify for OperationIds {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        for item in api.paths.paths.values_mut() {
            let methods = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in methods.into_iter().flatten() {
                let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
                let name = operation.operation_id.take().unwrap_or_default();
                operation.operation_id = Some(format!("{tag}_{name}").replace(' ', "_"));
            }
        }
    }
}

/// The description, as JSON for people to read.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// `GET /api/v1/openapi.json`.
pub(super) async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi_json())
}
