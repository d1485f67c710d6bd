//! The real binary and a receiver on a real socket, which checks signatures as receivers do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::is_signed;
use crate::http;
use crate::process::Gateway;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request as it came.
pub struct Heard {
    line: String,
    fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Heard {
    fn field(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(key, _)| key == name);
        field.map_or_else(|| panic!("no {name}: {:?}", self.fields), |(_, value)| value)
    }
}

/// Answers each connection once, and well.
pub fn listen() -> (SocketAddr, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, all) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let split = |line: &String| {
                let (name, value) = line.split_once(':').unwrap();
                (name.to_ascii_lowercase(), value.trim().to_owned())
            };
            let fields: Vec<_> = lines[1..].iter().map(split).collect();
            let length = fields.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
            if heard.send(Heard { line: lines.remove(0), fields, body }).is_err() {
                return;
            }
        }
    });
    (address, all)
}

#[test]
fn a_test_message_reaches_a_receiver_that_can_tell_whose_it_is() {
    let (address, heard) = listen();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), SECRET).unwrap();
    let gateway = Gateway::start(&format!(
        "version: 1\nserver: {{listen: LISTEN, admin: ADMIN}}\n\
         alerts: {{webhooks: {{ops: {{url: 'http://{address}/hooks/very-secret?team=a', secret: 'file:{}'}}}}}}\n\
         upstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: demo, channels: [{{upstream: a}}]}}]\n",
        secret.path().display()
    ));
    let answer = http::post(gateway.admin, "/admin/alerts/test", "").unwrap();
    assert_eq!((answer.status, &answer.json()["webhooks"][0]), (202, &"ops".into()), "{}", answer.body);
    let heard = heard.recv_timeout(Duration::from_secs(30)).expect("a message");
    assert_eq!(heard.line, "POST /hooks/very-secret?team=a HTTP/1.1");
    assert_eq!(heard.field("host"), address.to_string());
    let [id, timestamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| heard.field(name));
    assert!(is_signed(SECRET, id, timestamp, signature, &heard.body));
    assert!(!is_signed(SECRET, id, timestamp, signature, b"{}"), "of another body it is not");
    let message: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
    assert_eq!((&message["kind"], &message["id"]), (&"test".into(), &id.into()));

    let nobody = http::post(gateway.admin, "/admin/alerts/test?webhook=nobody", "").unwrap();
    assert_eq!(nobody.status, 404, "{}", nobody.body);
    let trail = http::get(gateway.admin, "/admin/audit").unwrap();
    let deeds = trail.json()["audit"].as_array().unwrap().clone();
    let tests = deeds.iter().filter(|deed| deed["action"] == "alerts.test");
    let tests: Vec<_> = tests.map(|deed| (&deed["detail"]["status"], &deed["subject"])).collect();
    let expected = [(&404.into(), &"/admin/alerts/test".into()), (&202.into(), &"ops".into())];
    assert_eq!(tests, expected, "{}", trail.body);
    let delivered = || {
        let shown = http::get(gateway.admin, "/admin/alerts").unwrap();
        let webhook = shown.json()["webhooks"][0].clone();
        (webhook["last"]["status"] == 204).then_some(shown.body)
    };
    let shown = crate::process::wait_for(20, delivered).expect("it is known that it was delivered");
    for text in [shown, trail.body, gateway.log(), gateway.metrics()] {
        assert!(!text.contains("very-secret") && !text.contains("MfKQ9r8"), "{text}");
    }
}
