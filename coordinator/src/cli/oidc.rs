//! Settings of the OpenID provider.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use crate::http::oidc::{CALLBACK, Oidc, ProviderSettings};
use crate::service::identities::GroupRole;
use crate::store::Role;

/// What the provider's name is where none is given.
const NAME: &str = "single sign-on";

/// The claim with the groups where none is given; what most providers call it.
const GROUPS_CLAIM: &str = "groups";

/// The flags; each is a line of the file, too.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct OidcArgs {
    /// OpenID provider that people may sign in with, by its issuer
    #[arg(long, env = "WARREN_OIDC_ISSUER", value_name = "URL")]
    pub(super) oidc_issuer: Option<String>,
    /// What the provider calls this coordinator
    #[arg(long, env = "WARREN_OIDC_CLIENT_ID", value_name = "ID")]
    pub(super) oidc_client_id: Option<String>,
    /// File with the secret that the provider gave for it
    #[arg(long, env = "WARREN_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub(super) oidc_client_secret_file: Option<PathBuf>,
    /// What the button says: `Sign in with NAME` [default: single sign-on]
    #[arg(long, env = "WARREN_OIDC_NAME", value_name = "NAME")]
    pub(super) oidc_name: Option<String>,
    /// Root certificates (PEM) that vouch for the provider [default: the system's]
    #[arg(long, env = "WARREN_OIDC_ROOTS", value_name = "FILE")]
    pub(super) oidc_roots: Option<PathBuf>,
    /// The claim with a person's groups [default: groups]
    #[arg(long, env = "WARREN_OIDC_GROUPS_CLAIM", value_name = "NAME")]
    pub(super) oidc_groups_claim: Option<String>,
    /// Who is in this group there has this role in the organization here; may be repeated
    #[arg(long, env = "WARREN_OIDC_GROUP", value_name = "GROUP=ORGANIZATION:ROLE", value_delimiter = ';')]
    pub(super) oidc_group: Option<Vec<String>>,
    /// Ask the provider by plain HTTP where its issuer says so; others can read and change that
    #[arg(long, env = "WARREN_OIDC_INSECURE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(super) oidc_insecure: Option<bool>,
}

/// What the settings mean together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OidcConfig {
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) client_secret_file: Option<PathBuf>,
    pub(super) roots: Option<PathBuf>,
    pub(super) groups_claim: String,
    pub(super) groups: Vec<GroupRole>,
    pub(super) insecure: bool,
}

impl OidcArgs {
    /// These, and what they leave out as the file has it.
    pub(super) fn or(&self, file: Self) -> Self {
        let own = self.clone();
        Self {
            oidc_issuer: own.oidc_issuer.or(file.oidc_issuer),
            oidc_client_id: own.oidc_client_id.or(file.oidc_client_id),
            oidc_client_secret_file: own.oidc_client_secret_file.or(file.oidc_client_secret_file),
            oidc_name: own.oidc_name.or(file.oidc_name),
            oidc_roots: own.oidc_roots.or(file.oidc_roots),
            oidc_groups_claim: own.oidc_groups_claim.or(file.oidc_groups_claim),
            oidc_group: own.oidc_group.or(file.oidc_group),
            oidc_insecure: own.oidc_insecure.or(file.oidc_insecure),
        }
    }
}

impl OidcConfig {
    /// What the settings mean together; none without an issuer.
    pub(super) fn new(args: OidcArgs) -> Result<Option<Self>, CliError> {
        let usage = |text: String| CliError::Usage(text);
        let Some(issuer) = args.oidc_issuer else {
            if args.oidc_client_id.is_some()
                || args.oidc_client_secret_file.is_some()
                || args.oidc_group.is_some()
            {
                return Err(usage("give --oidc-issuer too: the OpenID provider".into()));
            }
            return Ok(None);
        };
        let client_id = args.oidc_client_id.ok_or_else(|| {
            usage("give --oidc-client-id too: what the provider calls this coordinator".into())
        })?;
        let groups = args.oidc_group.unwrap_or_default();
        let groups = groups.iter().map(|text| parse_group(text).map_err(usage)).collect::<Result<_, _>>()?;
        Ok(Some(Self {
            name: args.oidc_name.unwrap_or_else(|| NAME.to_owned()),
            issuer,
            client_id,
            client_secret_file: args.oidc_client_secret_file,
            roots: args.oidc_roots,
            groups_claim: args.oidc_groups_claim.unwrap_or_else(|| GROUPS_CLAIM.to_owned()),
            groups,
            insecure: args.oidc_insecure.unwrap_or(false),
        }))
    }

    /// The provider, which is not asked yet. It sends browsers back to the public URL, so there must be one.
    pub(super) fn start(&self, public_url: Option<&str>) -> Result<Oidc, CliError> {
        let public_url = public_url.ok_or_else(|| {
            CliError::Usage("--oidc-issuer needs --public-url: the provider sends browsers back to it".into())
        })?;
        let settings = ProviderSettings {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret_file.as_deref().map(read_secret).transpose()?,
            roots: self.roots.as_deref().map(read).transpose()?,
            groups_claim: self.groups_claim.clone(),
            insecure: self.insecure,
            redirect_url: format!("{public_url}{CALLBACK}"),
        };
        Oidc::new(self.name.clone(), settings, self.groups.clone())
            .map_err(|why| CliError::Usage(format!("OpenID provider: {why}")))
    }

    /// The groups as they were given.
    pub(super) fn group_texts(&self) -> Vec<String> {
        let text =
            |known: &GroupRole| format!("{}={}:{}", known.group, known.organization, known.role.as_str());
        self.groups.iter().map(text).collect()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(CliError::io(format!("cannot read {}", path.display())))
}

/// A secret in a file, without the line's end.
pub(super) fn read_secret(path: &Path) -> Result<String, CliError> {
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.chars().any(char::is_control) {
        return Err(CliError::Usage(format!("{} holds no secret in one line", path.display())));
    }
    Ok(secret.to_owned())
}

/// Reads `GROUP=ORGANIZATION:ROLE`. A group may hold `=` and `:` itself, as distinguished names do.
fn parse_group(text: &str) -> Result<GroupRole, String> {
    let wrong = || format!("--oidc-group `{text}` is not GROUP=ORGANIZATION:ROLE");
    let (rest, role) = text.rsplit_once(':').ok_or_else(wrong)?;
    let (group, organization) = rest.rsplit_once('=').ok_or_else(wrong)?;
    let role: Role = role.parse().map_err(|error| format!("--oidc-group `{text}`: {error}"))?;
    if group.is_empty() || organization.is_empty() {
        return Err(wrong());
    }
    Ok(GroupRole { group: group.to_owned(), organization: organization.to_owned(), role })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_may_be_a_distinguished_name() {
        let parsed = parse_group("cn=admins,dc=example=default:admin").unwrap();
        assert_eq!(
            (parsed.group.as_str(), parsed.organization.as_str()),
            ("cn=admins,dc=example", "default")
        );
        assert_eq!(parsed.role, Role::Admin);
        for bad in ["", "ops", "ops=default", "ops=default:king", "=default:admin", "ops=:admin", "ops:admin"]
        {
            assert!(parse_group(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn half_of_the_settings_says_what_the_other_half_is() {
        let args = |issuer: Option<&str>, id: Option<&str>| OidcArgs {
            oidc_issuer: issuer.map(str::to_owned),
            oidc_client_id: id.map(str::to_owned),
            ..OidcArgs::default()
        };
        assert_eq!(OidcConfig::new(OidcArgs::default()).unwrap(), None);
        assert!(OidcConfig::new(args(None, Some("x"))).unwrap_err().to_string().contains("--oidc-issuer"));
        assert!(OidcConfig::new(args(Some("x"), None)).unwrap_err().to_string().contains("--oidc-client-id"));
        let config = OidcConfig::new(args(Some("https://id.example"), Some("x"))).unwrap().unwrap();
        assert!(config.start(None).unwrap_err().to_string().contains("--public-url"));
    }
}
