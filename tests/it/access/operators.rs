//! Operators with certificates: a listener with TLS, their own roots, and what each of them may do.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mainstay::app::App;
use mainstay::config::Env;
use mainstay::server::loader::Source;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Nothing but a token for a test that wants one beside certificates.
struct World;

impl Env for World {
    fn var(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "the-word-of-the-operators".to_owned())
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// Somebody whom certificates come from.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, as PEM.
struct Pair {
    cert: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn gives(&self, common: &str, dns: &[&str]) -> Pair {
        let dns: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(dns).expect("names");
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { cert, key: key.serialize_pem() }
    }
}

fn routing(directory: &Path, clients: &str) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    let (cert, key, roots) = (at("admin.crt"), at("admin.key"), at("roots.pem"));
    format!(
        "version: 1\nserver:\n  listen: 127.0.0.1:0\n  admin: 127.0.0.1:0\n  admin_token: '${{TOKEN}}'\n  \
         admin_tls: {{cert: '{cert}', key: '{key}', client_ca: '{roots}', clients: {{{clients}}}}}\n\
         upstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: demo, channels: [{{upstream: a}}]}}]\n"
    )
}

/// What `request` is answered over TLS with this certificate, or nothing where there is no connection.
async fn ask(app: &App, roots: &Authority, own: Option<&Pair>, request: &str) -> Option<String> {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(roots.pem.as_bytes()).ok()?).ok()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions").with_root_certificates(trusted);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(Pair { cert, key }) => {
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).expect("a certificate");
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(vec![cert], key).expect("a pair")
        }
    };
    let stream = TcpStream::connect(app.admin_address()).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n{more}\r\n"
    )
}

fn status(answer: Option<String>) -> u16 {
    let answer = answer.expect("an answer");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_stands_in_for_a_token() {
    let directory = TempDir::new().expect("a directory");
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let own = ours.gives("gateway", &["localhost"]);
    for (name, text) in [("admin.crt", &own.cert), ("admin.key", &own.key), ("roots.pem", &ours.pem)] {
        std::fs::write(directory.path().join(name), text).expect("it can be written");
    }
    let file = directory.path().join("routing.yaml");
    let clients = "deploy: {subject: deploy.example.com, scopes: [operate, audit]}, ada: {subject: Ada, scopes: [read]}";
    std::fs::write(&file, routing(directory.path(), clients)).expect("it can be written");
    let app = App::start(Source::File(file.clone()), Arc::new(World)).await;
    let app = app.unwrap_or_else(|error| panic!("{error}"));

    let deploy = ours.gives("somebody", &["deploy.example.com"]);
    let ada = ours.gives("Ada", &[]);
    let nobody = ours.gives("nobody", &["example.com"]);
    let reload = request("POST", "/admin/reload", "");
    let look = request("GET", "/admin/status", "");
    // Probes and Prometheus need neither; a token is as good as ever.
    assert_eq!(status(ask(&app, &ours, None, &request("GET", "/metrics", "")).await), 200);
    assert_eq!(status(ask(&app, &ours, None, &look).await), 401);
    let token = "authorization: Bearer the-word-of-the-operators\r\n";
    assert_eq!(status(ask(&app, &ours, None, &request("GET", "/admin/status", token)).await), 200);

    assert_eq!(status(ask(&app, &ours, Some(&ada), &look).await), 200);
    assert_eq!(status(ask(&app, &ours, Some(&ada), &reload).await), 403);
    assert_eq!(status(ask(&app, &ours, Some(&deploy), &reload).await), 200);
    assert_eq!(status(ask(&app, &ours, Some(&deploy), &look).await), 403);
    assert_eq!(status(ask(&app, &ours, Some(&nobody), &look).await), 401);
    // A wrong token is a wrong token, whatever stands beside it.
    let wrong = "authorization: Bearer the-word-of-nobody\r\n";
    assert_eq!(status(ask(&app, &ours, Some(&ada), &request("GET", "/admin/status", wrong)).await), 401);
    // A browser shows its certificate for every page that asks it to.
    let page = "origin: https://elsewhere.example\r\n";
    assert_eq!(status(ask(&app, &ours, Some(&deploy), &request("POST", "/admin/reload", page)).await), 403);
    let page = "origin: https://localhost\r\nsec-fetch-site: same-origin\r\n";
    assert_eq!(status(ask(&app, &ours, Some(&deploy), &request("POST", "/admin/reload", page)).await), 200);
    // The same names from somebody else's hand are not even heard.
    let forged = others.gives("Ada", &["deploy.example.com"]);
    assert_eq!(ask(&app, &ours, Some(&forged), &look).await, None);

    let trail =
        ask(&app, &ours, Some(&deploy), &request("GET", "/admin/audit", "")).await.expect("an answer");
    let trail = trail.split("\r\n\r\n").nth(1).expect("a body").to_owned();
    let trail: serde_json::Value = serde_json::from_str(&trail).expect("JSON");
    let rows = trail["audit"].as_array().expect("rows").iter();
    let rows: Vec<(String, u64)> = rows
        .filter(|row| row["action"] == "reload")
        .map(|row| (row["actor"].to_string(), row["detail"]["status"].as_u64().unwrap_or_default()))
        .collect();
    let [deploy_did, ada_did] = ["deploy", "ada"].map(|name| format!("\"127.0.0.1 (certificate {name})\""));
    assert_eq!(rows, [(deploy_did.clone(), 200), (deploy_did, 200), (ada_did, 403)]);

    // The command line knows the gateway by the certificate in its file, and takes no other for it.
    let written = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        path
    };
    let (cert, key) = (written("ada.crt", &ada.cert), written("ada.key", &ada.key));
    let explains = |own: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.arg("--config").arg(&file).args(["explain", "--model", "demo", "--admin"]);
        command.arg(format!("https://{}", app.admin_address())).env_remove("MAINSTAY_ADMIN_TOKEN");
        command.env("TOKEN", "the-word-of-another-gateway");
        if own {
            command.env("MAINSTAY_ADMIN_CERT", &cert).env("MAINSTAY_ADMIN_KEY", &key);
        }
        let done = command.output().expect("it starts");
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let (well, said) = explains(false);
    assert!(!well && said.contains("admin_tls.clients"), "{said}");
    let (well, said) = explains(true);
    assert!(well && said.contains("a/demo"), "{said}");

    // Who is taken out of the file is an operator no more, and nobody has to start anything again.
    let clients = "ada: {subject: Ada, scopes: [operate]}";
    std::fs::write(&file, routing(directory.path(), clients)).expect("it can be written");
    let answer = ask(&app, &ours, None, &request("POST", "/admin/reload", token)).await;
    assert_eq!(status(answer), 200);
    assert_eq!(status(ask(&app, &ours, Some(&deploy), &look).await), 401);
    assert_eq!(status(ask(&app, &ours, Some(&ada), &look).await), 403);

    let strange = others.gives("gateway", &["localhost"]);
    written("admin.crt", &strange.cert);
    written("admin.key", &strange.key);
    let (well, said) = explains(true);
    assert!(!well && said.contains("is not the gateway that it should be"), "{said}");
    app.shutdown().await;
}
