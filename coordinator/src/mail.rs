//! Mail: an invitation to somebody's address, by the operator's SMTP server.

#[cfg(feature = "mail")]
use std::{net::IpAddr, time::Duration};

#[cfg(feature = "mail")]
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor, message::Mailbox,
    message::header::ContentType,
};
#[cfg(feature = "mail")]
use url::Url;

/// How long sending one mail may take in all: whoever invites waits for it.
#[cfg(feature = "mail")]
const TIMEOUT: Duration = Duration::from_secs(20);

/// What sends mail.
#[cfg(feature = "mail")]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// In its place, where the program was built without.
#[cfg(not(feature = "mail"))]
pub enum Mailer {}

/// What an invitation's mail says.
#[derive(Debug, Clone, Copy)]
pub struct InvitationMail<'a> {
    /// Whom it goes to.
    pub to: &'a str,
    /// The link.
    pub link: &'a str,
    /// Who invites.
    pub by: &'a str,
    /// Until when the link works, for people.
    pub until: &'a str,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailer")
    }
}

/// Whether a text can be a mail address: one `@` with something on both sides, nothing that ends a line or a header.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let plain = text
        .chars()
        .all(|letter| !letter.is_control() && !letter.is_whitespace() && !"<>,;:\"()".contains(letter));
    let parts = text.split_once('@');
    let whole = parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    plain && whole && text.len() <= 254
}

#[cfg(feature = "mail")]
impl Mailer {
    /// A sender by `smtps://user@host:port` (TLS from the first byte) or `smtp://user@host:port?tls=required` (STARTTLS). It is
    /// not asked before there is something to send.
    ///
    /// # Errors
    /// Settings that cannot work, in words.
    pub fn new(url: &str, password: Option<String>, from: &str) -> Result<Self, String> {
        let from = from.parse().map_err(|_| format!("`{from}` is no mail address"))?;
        let mut url = Url::parse(url).map_err(|error| format!("the SMTP URL cannot be read: {error}"))?;
        check_privacy(&url)?;
        match (url.password().is_some(), password) {
            (true, _) => return Err("the password belongs in a file, not in the SMTP URL".into()),
            (false, Some(_)) if url.username().is_empty() => {
                return Err("the SMTP URL names no user for the password".into());
            }
            (false, Some(password)) => {
                url.set_password(Some(&password))
                    .map_err(|()| "the SMTP URL takes no password".to_owned())?;
            }
            (false, None) => {}
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
            .map_err(|error| format!("the SMTP URL is not usable: {error}"))?;
        Ok(Self { transport: builder.timeout(Some(TIMEOUT)).build(), from })
    }

    /// Sends an invitation.
    ///
    /// # Errors
    /// Why it was not sent, in words.
    pub async fn invite(&self, mail: InvitationMail<'_>) -> Result<(), String> {
        let to: Mailbox = mail.to.parse().map_err(|_| format!("`{}` is no mail address", mail.to))?;
        let text = format!(
            "{} invites you to a Warren network.\r\n\r\nOpen this link to join. It works once, until {}:\r\n\r\n{}\r\n\r\n\
             If you do not know what this is about, do nothing: without the link nobody joins.\r\n",
            mail.by, mail.until, mail.link
        );
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .header(ContentType::TEXT_PLAIN)
            .subject("An invitation to a Warren network")
            .body(text)
            .map_err(|error| error.to_string())?;
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(sent) => sent.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err(format!("the mail server does not answer within {} s", TIMEOUT.as_secs())),
        }
    }
}

/// Whoever reads the link of an invitation may use it, so it travels encrypted.
#[cfg(feature = "mail")]
fn check_privacy(url: &Url) -> Result<(), String> {
    let host = url.host_str().ok_or("the SMTP URL names no host")?.trim_matches(['[', ']']);
    let is_loopback =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let upgrades = url.query_pairs().any(|(name, value)| name == "tls" && value == "required");
    if url.scheme() == "smtps" || upgrades || is_loopback {
        Ok(())
    } else {
        Err("mail would travel readable; give smtps://…, or smtp://…?tls=required for STARTTLS".into())
    }
}

#[cfg(not(feature = "mail"))]
impl Mailer {
    /// There is none.
    ///
    /// # Errors
    /// Always.
    pub fn new(_: &str, _: Option<String>, _: &str) -> Result<Self, String> {
        Err("this program was built without mail".to_owned())
    }

    /// Sends nothing.
    ///
    /// # Errors
    /// Never called.
    #[expect(clippy::unused_async, reason = "stands in for one that sends")]
    pub async fn invite(&self, _: InvitationMail<'_>) -> Result<(), String> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_another_header_or_another_address_is_no_address() {
        for good in ["ada@example.org", "a.b+c@mail.example", "ada@localhost", "jürgen@bücher.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in
            ["", "ada", "@example.org", "ada@", "a@b@c", "a b@c", "a@b\r\nBcc: c@d", "a@b,c@d", "<a@b>"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
