//! Invitations into an organization, and how a guest accepts one.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path, Payload, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use super::super::problem::ApiError;
use super::super::{Site, body, dashboard, sign_in as http_sign_in};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::mail::{InvitationMail, Mailer};
use crate::service::resources::Membership;
use crate::service::resources::invitations::{
    self, Acceptance, CreatedInvitation, Invitation, MailOutcome, NewInvitation,
};
use crate::service::{Caller, sign_in};

/// The invitations, newest first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/invitations", tag = "invitations", params(("organization" = Uuid, Path, description = "The organization's id")), responses(
    (status = 200, description = "In order", body = Vec<Invitation>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    member: ReqData<Membership>,
) -> Result<Json<Vec<Invitation>>, ApiError> {
    Ok(Json(call(&site, member.into_inner(), |_, call| call.invitations()).await?))
}

/// Makes an invitation; its secret is shown this once.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/invitations", tag = "invitations", params(("organization" = Uuid, Path, description = "The organization's id")), request_body = NewInvitation, responses(
    (status = 201, description = "Made", body = CreatedInvitation),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewInvitation = body::json(payload, BODY_MAX).await?;
    let (member, to) = (member.into_inner(), wanted.mail_address.clone());
    let post = match to {
        None => None,
        Some(to) => Some((to, Post::of(&site)?)),
    };
    let by = member.caller.person.name.clone();
    let mut made = call(&site, member, move |_, call| call.create_invitation(wanted)).await?;
    if let Some((to, post)) = post {
        made.mail = Some(post.send(&to, &by, &made).await);
    }
    Ok(HttpResponse::Created().json(made))
}

/// What it takes to send an invitation.
struct Post {
    mailer: Arc<Mailer>,
    public_url: String,
}

impl Post {
    fn of(site: &Site) -> Result<Self, ApiError> {
        let missing =
            "mail_address: this coordinator sends no mail; give it --smtp-url, --mail-from and --public-url";
        let both = site.mailer.clone().zip(site.public_url.clone());
        let (mailer, public_url) = both.ok_or_else(|| ApiError::invalid(missing))?;
        Ok(Self { mailer, public_url })
    }

    async fn send(&self, to: &str, by: &str, made: &CreatedInvitation) -> MailOutcome {
        let link = format!("{}/invitation/{}", self.public_url, made.token);
        let until = jiff::Timestamp::from_millisecond(made.invitation.expires_at_ms).unwrap_or_default();
        let until = until.strftime("%-d %B %Y, %H:%M UTC").to_string();
        match self.mailer.invite(InvitationMail { to, link: &link, by, until: &until }).await {
            Ok(()) => MailOutcome { sent: true, why: None },
            Err(why) => {
                tracing::warn!(why, "an invitation was not sent");
                MailOutcome { sent: false, why: Some(why) }
            }
        }
    }
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/invitations/{invitation}", tag = "invitations", params(("organization" = Uuid, Path, description = "The organization's id"), ("invitation" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn delete(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let invitation = id(&ids.1)?;
    call(&site, member.into_inner(), move |_, call| call.delete_invitation(invitation)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The page behind an invitation's link.
pub(crate) async fn page() -> Result<HttpResponse, ApiError> {
    dashboard::page("invitation.html")
}

/// Accepts an invitation as a new person, who is signed in by the answer's cookie.
#[utoipa::path(post, path = "/api/v1/invitations/accept", tag = "invitations", request_body = Acceptance, responses(
    (status = 204, description = "Signed in"),
    Refusal,
))]
pub(crate) async fn accept(
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let acceptance: Acceptance = body::json(payload, BODY_MAX).await?;
    let browser = http_sign_in::browser(&request);
    let _turn = site.password_turn().await?;
    let session = site
        .call(move |coordinator, now_ms| {
            let (store, entropy) = (coordinator.store(), coordinator.entropy());
            let person = invitations::accept(store, entropy, now_ms, &acceptance)?;
            Ok::<_, ApiError>(sign_in::open_session(store, entropy, now_ms, (person.id, &browser))?)
        })
        .await?;
    Ok(http_sign_in::signed_in(&site, &session))
}

/// Joins another organization by an invitation, as somebody who is signed in.
#[utoipa::path(post, path = "/api/v1/invitations/join", tag = "invitations", request_body = InvitationSecret, responses(
    (status = 204, description = "Joined"),
    Refusal,
))]
pub(crate) async fn join(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let secret: InvitationSecret = body::json(payload, BODY_MAX).await?;
    let caller = caller.into_inner();
    site.call(move |coordinator, now_ms| {
        invitations::accept_as(coordinator.store(), now_ms, &caller, &secret.token)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The secret of an invitation's link.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationSecret {
    /// `wiv_…`
    token: String,
}
