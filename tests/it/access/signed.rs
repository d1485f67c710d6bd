//! Callers who sign, as AWS SDKs do.

use mainstay::algo::sigv4::{Asked, Hash, Keys, Scope, Stamp, authorization};

use super::{DESK, SHOP, Shop, shop, verdict};
use crate::lab::{Ask, Lab};

const PATH: &str = "/bedrock/model/demo/converse";
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}]}"#;

/// Signed by `name` with `secret`, so many seconds from now, with these fields besides.
fn signed(lab: &Lab, name: &str, secret: &str, seconds: i64, more: &[(&'static str, &str)]) -> Ask {
    signed_for(lab, (PATH, BODY), name, secret, seconds, more)
}

fn signed_for(
    lab: &Lab,
    (path, body): (&str, &'static str),
    name: &str,
    secret: &str,
    seconds: i64,
    more: &[(&'static str, &str)],
) -> Ask {
    let now = lab.gateway.live.clock.unix_now();
    let at = Stamp::at(std::time::Duration::from_secs(now.as_secs().saturating_add_signed(seconds)));
    let date = at.to_string();
    let mut fields = vec![("content-type", "application/json"), ("host", "gateway"), ("x-amz-date", &*date)];
    fields.extend_from_slice(more);
    fields.sort_unstable();
    let asked = Asked { method: "POST", path, query: None, body: Hash::of([body.as_bytes()]) };
    let keys = Keys { access: name, secret, session: None };
    let scope = Scope { region: "eu-central-1", service: "bedrock" };
    let made = authorization(&asked, &fields, keys, scope, at);
    let ask = Ask::post(path, body).header("authorization", &made).header("x-amz-date", &date);
    more.iter().fold(ask, |ask, (name, value)| ask.header(name, value))
}

fn hash(body: &str) -> String {
    format!("{:?}", Hash::of([body.as_bytes()])).trim_matches(|c| "Hash()".contains(c)).to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_taken_for_a_key_and_stays_here() {
    let Shop { lab, other, .. } = shop();
    let token = [("x-amz-security-token", "secret-of-session")];
    let sum = hash(BODY);
    let hashed = [("x-amz-content-sha256", sum.as_str())];
    for (name, secret, more) in
        [("shop", SHOP, &[][..]), ("desk", DESK, &token[..]), ("shop", SHOP, &hashed[..])]
    {
        for seconds in [0, -299, 299] {
            let answer = lab.send(&signed(&lab, name, secret, seconds, more)).await;
            assert_eq!(answer.status, 200, "{name} {seconds}: {}", answer.text());
            let heard = format!("{:?}", other.only());
            assert!(
                !heard.contains("secret-of") && !heard.contains("AWS4") && !heard.contains("x-amz"),
                "{heard}"
            );
        }
    }
    // It is the same request for five minutes: whoever can read it can send it again.
    let ask = signed(&lab, "shop", SHOP, 0, &[]);
    assert_eq!(
        (lab.send(&ask).await.status, lab.send(&ask).await.status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    assert_eq!(lab.metric(r#"mainstay_access_total{key="shop",result="allowed"}"#), 8.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_does_not_hold_says_why_and_no_upstream_hears_of_it() {
    let Shop { lab, other, .. } = shop();
    let sum = hash("{}");
    let unsigned = [("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    let streaming = [("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")];
    let good = || signed(&lab, "shop", SHOP, 0, &[]);
    let other_body = Ask { body: BODY.replace("hello", "jello").into(), ..good() };
    let other_path = Ask { path: PATH.replace("demo", "native"), ..good() };
    let other_query = Ask { path: format!("{PATH}?a=b"), ..good() };
    let (unknown, invalid) = ("UnrecognizedClientException", "InvalidSignatureException");
    let cases = [
        (signed(&lab, "till", SHOP, 0, &[]), invalid, "the signature is not the one"),
        (signed(&lab, "shop", DESK, 0, &[]), invalid, "the signature is not the one"),
        (signed(&lab, "shop", SHOP, -301, &[]), invalid, "more than five minutes"),
        (signed(&lab, "shop", SHOP, 302, &[]), invalid, "more than five minutes"),
        (
            signed(&lab, "shop", SHOP, 0, &[("x-amz-content-sha256", &sum)]),
            invalid,
            "the body is not the one",
        ),
        (signed(&lab, "shop", SHOP, 0, &unsigned), invalid, "the body is not the one"),
        (signed(&lab, "shop", SHOP, 0, &streaming), invalid, "the body is not the one"),
        (other_body, invalid, "the signature is not the one"),
        (other_path, invalid, "the signature is not the one"),
        (other_query, invalid, "the signature is not the one"),
        (good().header("x-api-key", DESK), unknown, "they are not the same"),
        (
            Ask::post(PATH, BODY).header("authorization", "AWS4-HMAC-SHA256 Credential=shop"),
            invalid,
            "not a whole",
        ),
        (Ask::post(PATH, BODY), "MissingAuthenticationTokenException", "access key id"),
    ];
    for (ask, kind, why) in cases {
        let answer = lab.send(&ask).await;
        assert_eq!(verdict("bedrock", &answer), (403, kind.to_owned()), "{}", answer.text());
        assert!(answer.text().contains(why), "{why}: {}", answer.text());
    }
    assert!(other.heard().is_empty());
    let count =
        |result: &str| lab.metric(&format!("mainstay_access_total{{key=\"shop\",result=\"{result}\"}}"));
    assert_eq!((count("stale"), count("bad_signature"), count("allowed")), (2.0, 7.0, 0.0));
    lab.assert_quiet().await;
}

/// What is signed is what came, whatever is made of it here.
#[tokio::test(start_paused = true)]
async fn who_invokes_claude_signs_as_who_converses() {
    let Shop { lab, other, .. } = shop();
    let body = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;
    for path in ["/bedrock/model/demo/invoke", "/model/demo/invoke"] {
        let ask = |secret| signed_for(&lab, (path, body), "shop", secret, 0, &[("anthropic-beta", "a-1")]);
        let answer = lab.send(&ask(SHOP)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let heard = format!("{:?}", other.only());
        assert!(!heard.contains("AWS4") && !heard.contains("x-amz"), "{heard}");
        let other_path = Ask { path: path.replace("demo", "native"), ..ask(SHOP) };
        let other_body = Ask { body: body.replace("hello", "jello").into(), ..ask(SHOP) };
        for wrong in [ask(DESK), other_path, other_body] {
            let answer = lab.send(&wrong).await;
            assert_eq!(verdict("bedrock", &answer), (403, "InvalidSignatureException".to_owned()), "{path}");
        }
        let answer = lab.send(&Ask::post(path, body)).await;
        assert_eq!(verdict("bedrock", &answer), (403, "MissingAuthenticationTokenException".to_owned()));
        assert!(answer.text().contains("access key id"), "{}", answer.text());
    }
    assert!(other.heard().is_empty());
    lab.assert_quiet().await;
}

/// Elsewhere a signature is somebody else's way.
#[tokio::test(start_paused = true)]
async fn only_bedrocks_callers_sign() {
    let Shop { lab, .. } = shop();
    let signed = signed(&lab, "shop", SHOP, 0, &[]);
    let headers = signed.headers.clone();
    let ask = Ask { headers, ..Ask::chat("demo") };
    assert_eq!(verdict("openai", &lab.send(&ask).await), (401, "invalid_api_key".to_owned()));
    assert_eq!(lab.send(&signed).await.status, 200);
}
