//! Mail, over a secured way.

use std::io;
use std::path::Path;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sha2::{Digest, Sha256};

use crate::notify::queue::Failed;
use crate::notify::{Letter, MailOptions, Security, text};
use crate::quantity::Time;

const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Mail {
    options: MailOptions,
}

impl Mail {
    pub(crate) fn new(options: &MailOptions) -> Mail {
        Mail { options: options.clone() }
    }

    pub(crate) async fn send(&self, letter: &Letter) -> Result<(), Failed> {
        let message = self.message(&letter.key(), text::title(letter), text::text(letter));
        self.deliver(message).await
    }

    /// Says that we live.
    pub(crate) async fn beat(&self, now: Time) -> Result<(), Failed> {
        let text = "emissiond watches. When this mail does not come, nobody does.".to_owned();
        self.deliver(self.message(&format!("heartbeat/{now}"), "heartbeat".to_owned(), text)).await
    }

    pub(crate) fn render(&self, letter: &Letter) -> Result<String, String> {
        let message = self.message(&letter.key(), text::title(letter), text::text(letter))?;
        Ok(String::from_utf8_lossy(&message.formatted()).into_owned())
    }

    /// The same letter has the same id, by which mail programs know it again.
    fn message(&self, key: &str, title: String, text: String) -> Result<Message, String> {
        let mailbox = |address: &String| address.parse::<Mailbox>().map_err(|error| format!("{address}: {error}"));
        let from = mailbox(&self.options.from)?;
        let print: String = Sha256::digest(key).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let mut message = Message::builder()
            .message_id(Some(format!("<{print}@{}>", from.email.domain())))
            .from(from)
            .subject(format!("[emissiond] {title}"))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.options.to {
            message = message.to(mailbox(to)?);
        }
        message.body(text).map_err(|error| error.to_string())
    }

    async fn deliver(&self, message: Result<Message, String>) -> Result<(), Failed> {
        let message = message.map_err(|why| Failed { why, is_final: true })?;
        let transport = self.transport().map_err(|error| Failed::later(error.to_string()))?;
        let sent = transport.send(message).await;
        // A refusal for good, such as of a password, may be mended too.
        sent.map(drop).map_err(|error| Failed::later(error.to_string()))
    }

    /// Secrets and certificates are read each time: they may have been changed.
    fn transport(&self) -> io::Result<AsyncSmtpTransport<Tokio1Executor>> {
        let MailOptions { host, port, security, .. } = &self.options;
        let tls = match security {
            Security::Plain => Tls::None,
            Security::Tls => Tls::Wrapper(self.tls()?),
            Security::StartTls => Tls::Required(self.tls()?),
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host);
        let mut builder = builder.port(*port).timeout(Some(TIMEOUT)).tls(tls);
        if let (Some(username), Some(path)) = (&self.options.username, &self.options.password_file) {
            let password = read(path)?.trim().to_owned();
            builder = builder.credentials(Credentials::new(username.clone(), password));
        }
        Ok(builder.build())
    }

    fn tls(&self) -> io::Result<TlsParameters> {
        let mut tls = TlsParameters::builder(self.options.host.clone());
        if let Some(path) = &self.options.ca_file {
            let certificate = Certificate::from_pem(read(path)?.as_bytes());
            tls = tls.add_root_certificate(certificate.map_err(io::Error::other)?);
        }
        tls.build().map_err(io::Error::other)
    }
}

fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::News;
    use crate::notify::sample;
    use crate::store::Notice;

    #[test]
    fn a_mail_can_be_read_and_is_known_again() {
        let options = MailOptions {
            host: "localhost".to_owned(),
            port: 25,
            security: Security::Plain,
            ca_file: None,
            username: None,
            password_file: None,
            from: "emissiond <gateway@example.com>".to_owned(),
            to: vec!["ops@example.com".to_owned()],
        };
        let notice = Notice { number: 1, made: String::new(), news: News::Returned, alarm: sample() };
        let letter = Letter { group: Default::default(), notices: vec![notice] };
        let mail = Mail::new(&options);
        let text = mail.render(&letter).unwrap();
        for line in [
            "To: ops@example.com",
            "Subject: [emissiond] facility/f: gas is back to normal; at most 880.4 kg/h",
            "priority high, since 2026-01-01T00:05:00Z, until 2026-01-01T00:15:00Z",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let id = |text: &str| text.lines().find(|line| line.starts_with("Message-ID")).map(str::to_owned);
        assert_eq!(id(&text), id(&mail.render(&letter).unwrap()));
    }
}
