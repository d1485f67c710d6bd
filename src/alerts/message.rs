//! How a message looks, and its signature: HMAC-SHA256 over `id.timestamp.body`, as Standard Webhooks has it.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::json;

use super::board::{Item, News, Occasion};
use crate::vocab::{AlertState, Secret};

/// Subjects that one message names; of the others it says how many there are.
const NAMED: usize = 50;
/// And in a line.
const IN_A_LINE: usize = 3;
/// What stands before a secret in base64.
const ENCODED: &str = "whsec_";

#[derive(Serialize)]
struct Told<'a> {
    subject: &'a str,
    text: &'a str,
    /// Unix time in seconds.
    since: u64,
}

impl News {
    const fn state(&self) -> AlertState {
        match self.occasion {
            Occasion::Begun | Occasion::Reminder | Occasion::Test => AlertState::Firing,
            Occasion::Over => AlertState::Resolved,
        }
    }

    /// What it is all about.
    fn subject(&self) -> String {
        let names: Vec<&str> = self.items.iter().take(IN_A_LINE).map(|item| &*item.subject).collect();
        match self.items.len().saturating_sub(IN_A_LINE) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    fn text(&self) -> String {
        match &*self.items {
            [only] => only.text.to_string(),
            all => format!("{} alerts `{}`: {}", all.len(), self.kind.name(), self.subject()),
        }
    }

    /// In our own words.
    pub fn as_json(&self, id: &str) -> String {
        let named = self.items.iter().take(NAMED);
        let alerts: Vec<Told<'_>> = named
            .map(|Item { subject, text, since }| Told { subject, text, since: since.as_secs() })
            .collect();
        let message = json!({
            "id": id,
            "kind": if self.occasion == Occasion::Test { "test" } else { self.kind.name() },
            "state": self.state().name(),
            "reminder": self.occasion == Occasion::Reminder,
            "subject": self.subject(),
            "text": self.text(),
            "since": self.items.iter().map(|item| item.since).min().unwrap_or_default().as_secs(),
            "count": self.items.len(),
            "alerts": alerts,
        });
        message.to_string()
    }

    /// As Slack takes it.
    pub fn as_slack(&self) -> String {
        let kind = self.kind.name();
        let head = match self.occasion {
            Occasion::Begun => format!("*{kind}*"),
            Occasion::Reminder => format!("*{kind}*, still"),
            Occasion::Over => format!("*{kind}*: resolved"),
            Occasion::Test => "*test*".to_owned(),
        };
        let mut text = match &*self.items {
            [only] => format!("{head} {}: {}", escaped(&only.subject), escaped(&only.text)),
            _ => head,
        };
        if self.items.len() > 1 {
            for item in self.items.iter().take(NAMED) {
                let _ = write!(text, "\n• {}: {}", escaped(&item.subject), escaped(&item.text));
            }
            if self.items.len() > NAMED {
                let _ = write!(text, "\n… and {} more", self.items.len() - NAMED);
            }
        }
        json!({ "text": text }).to_string()
    }
}

/// The three characters that mean something to Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The value of `webhook-signature`.
pub fn signature(secret: &Secret, id: &str, timestamp: u64, body: &str) -> String {
    let text = secret.expose();
    // What does not decode was refused where the file was checked.
    let decoded = text.strip_prefix(ENCODED).and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    let key = decoded.unwrap_or_else(|| text.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::vocab::AlertKind;

    fn news(count: u64, occasion: Occasion) -> News {
        let item = |at| Item {
            subject: format!("up{at}").into(),
            text: "is <down>".into(),
            since: Duration::from_secs(100 - at),
        };
        News { kind: AlertKind::ChannelDown, occasion, items: (0..count).map(item).collect() }
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("it is JSON")
    }

    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        // The example of Standard Webhooks' own libraries.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let plain = Secret::new("a-word-of-24-characters.");
        assert_ne!(signature(&plain, "a", 1, "b"), signature(&plain, "a", 2, "b"));
    }

    #[test]
    fn one_is_told_by_itself_and_many_by_a_list() {
        let one = read(&news(1, Occasion::Begun).as_json("msg_1"));
        assert_eq!(
            (&one["id"], &one["kind"], &one["state"]),
            (&"msg_1".into(), &"channel_down".into(), &"firing".into())
        );
        assert_eq!(
            (&one["subject"], &one["text"], &one["since"]),
            (&"up0".into(), &"is <down>".into(), &100.into())
        );
        let many = read(&news(70, Occasion::Over).as_json("msg_2"));
        assert_eq!(
            (&many["state"], &many["count"], &many["since"]),
            (&"resolved".into(), &70.into(), &31.into())
        );
        assert_eq!(many["subject"], "up0, up1, up2 and 67 more");
        assert_eq!(many["alerts"].as_array().map(Vec::len), Some(NAMED));
        assert_eq!(read(&news(1, Occasion::Reminder).as_json("x"))["reminder"], true);
        assert_eq!(read(&news(1, Occasion::Test).as_json("x"))["kind"], "test");
    }

    #[test]
    fn slack_gets_a_text() {
        let text = |count, occasion| {
            read(&news(count, occasion).as_slack())["text"].as_str().expect("a text").to_owned()
        };
        assert_eq!(text(1, Occasion::Begun), "*channel_down* up0: is &lt;down&gt;");
        assert_eq!(
            text(2, Occasion::Over),
            "*channel_down*: resolved\n• up0: is &lt;down&gt;\n• up1: is &lt;down&gt;"
        );
        assert!(text(60, Occasion::Reminder).ends_with("and 10 more"));
    }
}
