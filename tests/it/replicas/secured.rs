//! A Redis that wants a password and speaks TLS.

use super::redis::Redis;
use super::vendor::Vendor;
use super::{ROUTING, Replica};
use crate::process::{Place, wait_for};

const PASSWORD: &str = "word-of-the-tests:@/";

fn routing(redis: &str, vendor: &Vendor) -> String {
    let settings = ROUTING.replace("url: 'redis://REDIS'", redis);
    settings.replace("VENDOR", &vendor.address.to_string())
}

#[test]
fn a_password_is_asked_for_and_is_shown_nowhere() {
    let Some(redis) = Redis::with("a Redis with a password", &["--requirepass", PASSWORD]) else { return };
    let vendor = Vendor::open();
    let address = redis.address;
    let whole = Replica::of(&routing(&format!("url: 'redis://{address}', password: '{PASSWORD}'"), &vendor));
    whole.connected(1);
    let in_url =
        Replica::of(&routing(&format!("url: 'redis://:word-of-the-tests%3A%40%2F@{address}/2'"), &vendor));
    in_url.connected(1);
    let wrong = Replica::of(&routing(&format!("url: 'redis://{address}', password: wrong-word"), &vendor));
    wrong.many(2);
    wrong.connected(0);
    let why = wrong.json("/admin/status")["shared"]["why"].to_string();
    assert!(why.to_lowercase().contains("pass"), "{why}\n{}", wrong.0.said());
    for replica in [&whole, &in_url, &wrong] {
        let shown =
            [replica.0.log(), replica.0.metrics(), replica.json("/admin/status").to_string()].concat();
        for secret in [PASSWORD, "word-of-the-tests", "wrong-word"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn tls_is_spoken_and_a_stranger_is_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (file("cert.pem", &own.cert.pem()), file("key.pem", &own.signing_key.serialize_pem()));
    let stranger = file("other.pem", &other.cert.pem());
    let place = Place::reserve();
    let port = place.address.port();
    let tls_port = port.to_string();
    let options = [
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ];
    let Some(_redis) = Redis::with("a Redis with TLS", &options) else { return };
    let vendor = Vendor::open();
    let of = |ca: &str| {
        let url = format!("url: 'rediss://localhost:{port}', ca_file: '{ca}'");
        Replica::of(&routing(&url, &vendor))
    };
    of(&cert).connected(1);
    let wary = of(&stranger);
    wary.many(2);
    wary.connected(0);
    let why = || wary.json("/admin/status")["shared"]["why"].to_string();
    let refused = || Some(why()).filter(|why| why.contains("TLS") && why.contains("certificate"));
    assert!(wait_for(10, refused).is_some(), "{}", why());
}
