//! Credentials on requests, with a token endpoint in memory under paused time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Method;
use http::header::HOST;
use rcgen::PublicKeyData as _;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::algo::sigv4::{Asked, Claim, Hash, Stamp};
use crate::upstream::tests::{Memory, SECOND, answer, limits, plain, read_request, settings};
use crate::upstream::{Dial, Pool};
use crate::vocab::Stage;

const BEDROCK: Auth = Auth::Aws("bedrock");
const AZURE: Auth = Auth::Azure("api-key");

const PERSON: &str = r#"{"type":"authorized_user","client_id":"id&","client_secret":"se=cret",
    "refresh_token":"1//r","token_uri":"http://tokens.test/token?x=1","quota_project_id":"billed"}"#;
const APP: &str =
    r#"{"tenant_id":"t","client_id":"i","client_secret":"s~s","authority_host":"http://login.test/"}"#;

/// What the endpoint does with the request of this number.
#[derive(Clone, Copy)]
enum Does {
    /// A token for so many seconds, after so many seconds.
    Give(u64, u64),
    Refuse(u16, &'static str),
    Hang,
}

/// An endpoint for tokens, which remembers what it was asked.
struct Endpoint {
    peer: Arc<Memory>,
    asked: Arc<parking_lot::Mutex<Vec<String>>>,
}

impl Endpoint {
    fn that(does: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        let asked = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let (does, heard, count) = (Arc::new(does), Arc::clone(&asked), Arc::new(AtomicUsize::new(0)));
        let peer = Memory::serving(move |_, mut io| {
            let (does, heard, count) = (Arc::clone(&does), Arc::clone(&heard), Arc::clone(&count));
            async move {
                while let Some(request) = read_request(&mut io).await {
                    heard.lock().push(request);
                    let n = count.fetch_add(1, Ordering::SeqCst);
                    let reply = match does(n) {
                        Does::Give(life, after) => {
                            tokio::time::sleep(Duration::from_secs(after)).await;
                            answer(&format!(r#"{{"access_token":"t{n}","expires_in":{life}}}"#))
                        }
                        Does::Refuse(status, body) => {
                            let length = body.len();
                            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}")
                                .into_bytes()
                        }
                        Does::Hang => std::future::pending().await,
                    };
                    if io.write_all(&reply).await.is_err() {
                        return;
                    }
                }
            }
        });
        Self { peer, asked }
    }

    fn pool(&self) -> Arc<Pool> {
        self.peer.pool(settings())
    }

    fn count(&self) -> usize {
        self.asked.lock().len()
    }
}

async fn sent(pool: &Arc<Pool>, auth: Auth, secret: &str) -> Result<HeaderMap, CallError> {
    let mut request = Request::builder().uri("/v1/x").body(Outgoing::Empty).expect("a request");
    pool.authorize(&mut request, auth, &Secret::new(secret), &limits()).await?;
    Ok(std::mem::take(request.headers_mut()))
}

/// What `Authorization` says, or the fault.
async fn bearer_of(pool: &Arc<Pool>, auth: Auth, secret: &str) -> Result<String, Fault> {
    let headers = sent(pool, auth, secret).await.map_err(|error| error.fault)?;
    Ok(headers[AUTHORIZATION].to_str().expect("text").to_owned())
}

#[test]
fn each_scheme_puts_the_credential_where_the_provider_looks() {
    let check = |auth, secret: &str, name: &str, value: &str| {
        let mut headers = HeaderMap::new();
        apply(&mut headers, auth, &Secret::new(secret)).unwrap();
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[name], value);
        assert!(!format!("{headers:?}").contains(secret), "printed with the headers");
    };
    check(Auth::Bearer, "sk-1", "authorization", "Bearer sk-1");
    check(Auth::Header("x-api-key"), "sk-1", "x-api-key", "sk-1");
    check(BEDROCK, "ABSKQmVk", "authorization", "Bearer ABSKQmVk");
    check(Auth::Google, "ya29.a0", "authorization", "Bearer ya29.a0");
    check(AZURE, "0123abcd", "api-key", "0123abcd");
    check(AZURE, "eyJhbGci.e30.x", "authorization", "Bearer eyJhbGci.e30.x");
    let mut none = HeaderMap::new();
    apply(&mut none, Auth::None, &Secret::new("sk-1")).unwrap();
    assert!(none.is_empty());
}

#[test]
fn what_is_no_header_or_not_itself_to_be_sent_changes_nothing() {
    let mut headers = HeaderMap::new();
    let mut check = |auth, secret: &str, why| {
        assert_eq!(apply(&mut headers, auth, &Secret::new(secret)), Err(why));
        assert!(headers.is_empty());
    };
    check(Auth::Bearer, "a\r\nb: c", Unsendable::Characters);
    check(BEDROCK, "AKIA1:s", Unsendable::NotItself);
    check(Auth::Google, "{}", Unsendable::NotItself);
    check(AZURE, "metadata", Unsendable::NotItself);
}

#[tokio::test]
async fn a_credential_in_the_query_is_escaped() {
    let secret = Secret::new("a&b=c");
    assert_eq!(query("/m".into(), Auth::Query("key"), &secret), "/m?key=a%26b%3Dc");
    assert_eq!(query("/m?x=1".into(), Auth::Query("key"), &secret), "/m?x=1&key=a%26b%3Dc");
    assert_eq!(query("/m".into(), Auth::Bearer, &secret), "/m");
    let pool = Endpoint::that(|_| Does::Hang).pool();
    let mut request = Request::builder().uri("/m?x=1").body(Outgoing::Empty).expect("a request");
    pool.authorize(&mut request, Auth::Query("key"), &secret, &limits()).await.expect("no waiting");
    assert_eq!(request.uri(), "/m?x=1&key=a%26b%3Dc");
}

#[tokio::test]
async fn a_request_to_bedrock_is_signed_as_it_is_sent() {
    let peer = Memory::serving(|_, _| async {});
    let host = "bedrock-runtime.eu-central-1.amazonaws.com";
    let pool = Pool::new("b".into(), plain(host, 80, settings().http2), settings(), peer as Arc<dyn Dial>);
    let body = Outgoing::pieces([&b"{\"a\":"[..], b"1}"].map(Bytes::from_static));
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/model/a.b-v1%3A0/converse")
        .header("content-type", "application/json")
        .header("x-amz-security-token", "the caller's own")
        .header("x-amz-content-sha256", "of the caller's body")
        .body(body)
        .expect("a request");
    let secret = Secret::new("AKIA1:secret:session");
    pool.authorize(&mut request, BEDROCK, &secret, &limits()).await.expect("signed");
    let headers = request.headers();
    assert_eq!(headers["x-amz-security-token"], "session");
    assert!(!headers.contains_key("x-amz-content-sha256"));
    assert!(!format!("{headers:?}").contains("Signature"), "printed with the headers");
    let claim = Claim::read(headers).expect("a claim");
    assert_eq!((claim.access, claim.scope.region, claim.scope.service), ("AKIA1", "eu-central-1", "bedrock"));
    let asked = Asked {
        method: "POST",
        path: "/model/a.b-v1%3A0/converse",
        query: None,
        body: Hash::of([&b"{\"a\":1}"[..]]),
    };
    let now = Stamp::at(pool.vault().unix_now());
    assert_eq!(claim.verify(&asked, headers, Some(host), "secret", now), Ok(()));
    assert!(!headers.contains_key(HOST), "the pool's own");
}

#[tokio::test]
async fn keys_without_a_region_say_what_is_missing() {
    let pool = Memory::serving(|_, _| async {}).pool(settings());
    let error = sent(&pool, BEDROCK, "AKIA1:s").await.expect_err("nowhere");
    assert_eq!((error.fault, error.stage), (Fault::AuthRefused, Stage::NotSent));
    assert!(error.detail.contains("aws_region"), "{error}");
    let target = plain("proxy.test", 80, settings().http2).in_region(Some("us-east-1"));
    let peer = Memory::serving(|_, _| async {});
    let pool = Pool::new("b".into(), target, settings(), peer as Arc<dyn Dial>);
    let headers = sent(&pool, BEDROCK, "AKIA1:s").await.expect("signed");
    assert!(headers[AUTHORIZATION].to_str().is_ok_and(|text| text.contains("/us-east-1/bedrock/")));
}

#[tokio::test(start_paused = true)]
async fn a_persons_grant_becomes_a_token_that_is_used_until_shortly_before_its_end() {
    let endpoint = Endpoint::that(|_| Does::Give(3600, 0));
    let pool = endpoint.pool();
    let headers = sent(&pool, Auth::Google, PERSON).await.expect("a token");
    assert_eq!(headers[AUTHORIZATION], "Bearer t0");
    assert_eq!(headers["x-goog-user-project"], "billed");
    let asked = endpoint.asked.lock().join("\n");
    assert!(asked.starts_with("POST /token?x=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("host: tokens.test\r\n"), "{asked}");
    let form = "grant_type=refresh_token&client_id=id%26&client_secret=se%3Dcret&refresh_token=1%2F%2Fr";
    assert!(asked.ends_with(form), "{asked}");
    let check = async |wait: u64, token: &str| {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(bearer_of(&pool, Auth::Google, PERSON).await, Ok(format!("Bearer {token}")));
    };
    check(3299, "t0").await;
    check(1, "t1").await;
    check(3299, "t1").await;
    check(7200, "t2").await;
}

#[tokio::test(start_paused = true)]
async fn many_who_need_a_token_at_once_ask_once() {
    let endpoint = Endpoint::that(|_| Does::Give(3600, 1));
    let pool = endpoint.pool();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let pool = Arc::clone(&pool);
        all.spawn(async move { bearer_of(&pool, AZURE, APP).await });
    }
    assert_eq!(all.join_all().await, vec![Ok("Bearer t0".to_owned()); 20]);
    assert_eq!(endpoint.count(), 1);
    let asked = endpoint.asked.lock().join("\n");
    assert!(asked.starts_with("POST /t/oauth2/v2.0/token HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("client_secret=s~s&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"));
}

#[tokio::test(start_paused = true)]
async fn while_the_old_token_lives_a_failing_or_slow_exchange_goes_unnoticed() {
    let endpoint = Endpoint::that(|n| match n {
        0 | 4 => Does::Give(3600, 0),
        1 => Does::Refuse(500, ""),
        2 => Does::Hang,
        _ => Does::Refuse(400, r#"{"error":"invalid_grant"}"#),
    });
    let pool = endpoint.pool();
    let check = async |wait: u64, token: &str, count: usize| {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let begun = crate::upstream::now();
        assert_eq!(bearer_of(&pool, Auth::Google, PERSON).await, Ok(format!("Bearer {token}")));
        assert!(begun.elapsed() <= 2 * SECOND);
        assert_eq!(endpoint.count(), count);
    };
    check(0, "t0", 1).await;
    check(3300, "t0", 2).await;
    // Not again at once.
    check(1, "t0", 2).await;
    check(30, "t0", 3).await;
    check(40, "t0", 4).await;
    check(40, "t4", 5).await;
}

#[tokio::test(start_paused = true)]
async fn one_slow_renewal_holds_up_nobody_else() {
    let endpoint = Endpoint::that(|n| if n == 0 { Does::Give(3600, 0) } else { Does::Give(3600, 1) });
    let pool = endpoint.pool();
    bearer_of(&pool, Auth::Google, PERSON).await.expect("the first");
    tokio::time::sleep(Duration::from_secs(3400)).await;
    let (renewing, other) = tokio::join!(bearer_of(&pool, Auth::Google, PERSON), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = crate::upstream::now();
        let other = bearer_of(&pool, Auth::Google, PERSON).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        other
    });
    assert_eq!((renewing, other), (Ok("Bearer t1".to_owned()), Ok("Bearer t0".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn without_a_token_the_failure_is_clear_shared_and_never_a_hang() {
    let check = async |does: Does, fault: Fault, detail: &str| {
        let endpoint = Endpoint::that(move |_| does);
        let pool = endpoint.pool();
        let begun = crate::upstream::now();
        let both = tokio::join!(sent(&pool, Auth::Google, PERSON), sent(&pool, Auth::Google, PERSON));
        assert!(begun.elapsed() <= 13 * SECOND, "{:?}", begun.elapsed());
        for error in [both.0.expect_err("none"), both.1.expect_err("none")] {
            assert_eq!((error.fault, error.stage), (fault, Stage::NotSent));
            assert_eq!(error.detail, detail);
        }
        assert_eq!(endpoint.count(), 1);
    };
    let refused = r#"{"error":"invalid_grant","error_description":"1//r was revoked"}"#;
    check(Does::Refuse(400, refused), Fault::AuthRefused, "no token: tokens.test answered 400 invalid_grant")
        .await;
    let secretive = r#"{"error":"the token 1//r is bad"}"#;
    check(Does::Refuse(401, secretive), Fault::AuthRefused, "no token: tokens.test answered 401").await;
    check(Does::Refuse(502, "<html>"), Fault::BadGateway, "no token: tokens.test answered 502").await;
    check(Does::Refuse(200, "{}"), Fault::Protocol, "no token: tokens.test answered without one").await;
    check(Does::Hang, Fault::HeadersTimeout, "no token: no response headers within 5s").await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_lets_the_next_one_ask() {
    let endpoint = Endpoint::that(|n| if n == 0 { Does::Hang } else { Does::Give(3600, 0) });
    let pool = endpoint.pool();
    let impatient = tokio::time::timeout(SECOND, bearer_of(&pool, Auth::Google, PERSON));
    let patient = bearer_of(&pool, Auth::Google, PERSON);
    let (impatient, patient) = tokio::join!(impatient, patient);
    assert!(impatient.is_err());
    assert_eq!(patient, Ok("Bearer t1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_upstream_refused_is_forgotten() {
    let endpoint = Endpoint::that(|_| Does::Give(3600, 0));
    let pool = endpoint.pool();
    assert_eq!(bearer_of(&pool, Auth::Google, PERSON).await, Ok("Bearer t0".to_owned()));
    pool.forget_token(&Secret::new("another"));
    assert_eq!(bearer_of(&pool, Auth::Google, PERSON).await, Ok("Bearer t0".to_owned()));
    pool.forget_token(&Secret::new(PERSON));
    assert_eq!(bearer_of(&pool, Auth::Google, PERSON).await, Ok("Bearer t1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_machine_speaks_for_itself_where_it_runs_in_the_cloud() {
    let check = async |auth, host: &str, line: &str, field: &str| {
        let endpoint = Endpoint::that(|_| Does::Give(300, 0));
        let pool = endpoint.pool();
        assert_eq!(bearer_of(&pool, auth, "metadata").await, Ok("Bearer t0".to_owned()));
        let asked = endpoint.asked.lock().join("\n");
        assert!(asked.starts_with(line), "{asked}");
        assert!(asked.contains(field) && asked.contains(&format!("host: {host}\r\n")), "{asked}");
    };
    let google = "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n";
    check(Auth::Google, "metadata.google.internal", google, "metadata-flavor: Google\r\n").await;
    let azure = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcogni";
    check(AZURE, "169.254.169.254", azure, "metadata: true\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_service_account_signs_for_itself() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
    let account = serde_json::json!({
        "type": "service_account", "client_email": "bot@p.iam", "private_key": pair.serialize_pem(),
        "private_key_id": "k7", "token_uri": "http://tokens.test/token",
    });
    let endpoint = Endpoint::that(|_| Does::Give(3600, 0));
    let pool = endpoint.pool();
    assert_eq!(bearer_of(&pool, Auth::Google, &account.to_string()).await, Ok("Bearer t0".to_owned()));
    let asked = endpoint.asked.lock().join("\n");
    let (_, jwt) = asked.split_once("grant-type%3Ajwt-bearer&assertion=").expect("an assertion");
    let (stated, signature) = jwt.rsplit_once('.').expect("a signature");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.der_bytes());
    let decoded = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64");
    key.verify(stated.as_bytes(), &decoded(signature)).expect("signed by the account's key");
    let (header, claims) = stated.split_once('.').expect("two parts");
    let json = |part: &str| serde_json::from_slice::<serde_json::Value>(&decoded(part)).expect("JSON");
    assert_eq!(json(header), serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "k7"}));
    let claims = json(claims);
    assert_eq!(claims["iss"], "bot@p.iam");
    assert_eq!(claims["aud"], "http://tokens.test/token");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|at| at + 3600));
}
