//! In the place of the provider where the program was built without the feature `oidc`.

use super::settings::{FlowSecrets, ProviderError, ProviderSettings};
use crate::service::identities::Identity;

/// None.
pub(super) enum Provider {}

impl Provider {
    /// There is none.
    pub(super) fn new(_: ProviderSettings) -> Result<Self, String> {
        Err("this program was built without OpenID Connect".to_owned())
    }

    pub(super) fn issuer(&self) -> &str {
        match *self {}
    }

    /// Where a browser is sent to.
    #[expect(clippy::unused_async, reason = "stands in for one that asks")]
    pub(super) async fn authorization_url(&self, _: &FlowSecrets) -> Result<String, ProviderError> {
        match *self {}
    }

    /// Who a code stands for.
    #[expect(clippy::unused_async, reason = "stands in for one that asks")]
    pub(super) async fn identity(&self, _: String, _: &str, _: String) -> Result<Identity, ProviderError> {
        match *self {}
    }
}
