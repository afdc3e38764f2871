//! Settings of mail.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::oidc::read_secret;
use crate::mail::Mailer;

/// The flags; each is a line of the file, too.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct MailArgs {
    /// Server that sends invitations: `smtps://user@host:465`, or `smtp://user@host:587?tls=required` for STARTTLS
    #[arg(long, env = "WARREN_SMTP_URL", value_name = "URL")]
    pub(super) smtp_url: Option<String>,
    /// File with the user's password there
    #[arg(long, env = "WARREN_SMTP_PASSWORD_FILE", value_name = "FILE")]
    pub(super) smtp_password_file: Option<PathBuf>,
    /// The address that mail comes from, such as `Warren <warren@example.org>`
    #[arg(long, env = "WARREN_MAIL_FROM", value_name = "ADDRESS")]
    pub(super) mail_from: Option<String>,
}

/// What the settings mean together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailConfig {
    pub(super) smtp_url: String,
    pub(super) password_file: Option<PathBuf>,
    pub(super) from: String,
}

impl MailArgs {
    /// These, and what they leave out as the file has it.
    pub(super) fn or(&self, file: Self) -> Self {
        let own = self.clone();
        Self {
            smtp_url: own.smtp_url.or(file.smtp_url),
            smtp_password_file: own.smtp_password_file.or(file.smtp_password_file),
            mail_from: own.mail_from.or(file.mail_from),
        }
    }
}

impl MailConfig {
    /// What the settings mean together; none without a server.
    pub(super) fn new(args: MailArgs) -> Result<Option<Self>, CliError> {
        let usage = |text: &str| Err(CliError::Usage(text.to_owned()));
        match (args.smtp_url, args.mail_from) {
            (None, None) if args.smtp_password_file.is_none() => Ok(None),
            (None, _) => usage("give --smtp-url too: the server that sends mail"),
            (Some(_), None) => usage("give --mail-from too: the address that mail comes from"),
            (Some(smtp_url), Some(from)) => {
                Ok(Some(Self { smtp_url, password_file: args.smtp_password_file, from }))
            }
        }
    }

    /// The sender, which is not asked yet.
    pub(super) fn start(&self) -> Result<Mailer, CliError> {
        let password = self.password_file.as_deref().map(read_secret).transpose()?;
        Mailer::new(&self.smtp_url, password, &self.from)
            .map_err(|why| CliError::Usage(format!("mail: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_settings_says_what_the_other_half_is() {
        let args = |url: Option<&str>, from: Option<&str>| MailArgs {
            smtp_url: url.map(str::to_owned),
            mail_from: from.map(str::to_owned),
            smtp_password_file: None,
        };
        let why = |args| MailConfig::new(args).unwrap_err().to_string();
        assert_eq!(MailConfig::new(args(None, None)).unwrap(), None);
        assert!(why(args(Some("smtps://m"), None)).contains("--mail-from"));
        assert!(why(args(None, Some("a@b"))).contains("--smtp-url"));
    }

    #[test]
    fn links_do_not_travel_readable_and_no_password_stands_in_the_url() {
        let start = |url: &str| {
            let config =
                MailConfig { smtp_url: url.into(), password_file: None, from: "a@example.org".into() };
            config.start().map(drop).map_err(|error| error.to_string())
        };
        for good in ["smtps://u@mail.example:465", "smtp://mail.example?tls=required", "smtp://127.0.0.1:25"]
        {
            assert_eq!(start(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("smtp://mail.example", "readable"),
            ("smtp://mail.example?tls=opportunistic", "readable"),
            ("smtps://u:secret@mail.example", "file"),
            ("mail.example", "cannot be read"),
            ("http://127.0.0.1", "not usable"),
        ] {
            let error = start(bad).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{bad}: {error}");
        }
    }
}
