//! Against AWS's own vectors, against signatures of botocore, and as laws.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// The key of AWS's published examples.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const KEYS: Keys<'_> = Keys { access: "AKIDEXAMPLE", secret: SECRET, session: None };

fn asked<'a>(method: &'a str, path: &'a str, query: Option<&'a str>, body: &'a str) -> Asked<'a> {
    Asked { method, path, query, body: Hash::of([body.as_bytes()]) }
}

fn stamp(text: &str) -> Stamp {
    Stamp::parse(text).expect("a stamp")
}

fn headers(fields: &[(&str, &str)], authorization: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("a value"));
    headers
}

fn verify(asked: &Asked<'_>, headers: &HeaderMap, now: Stamp) -> Result<(), Refused> {
    Claim::read(headers)?.verify(asked, headers, None, SECRET, now)
}

/// AWS's "Signature Version 4 test suite" and the example of its documentation.
#[test]
fn the_published_vectors_come_out() {
    let at = "20150830T123600Z";
    let check = |asked: &Asked<'_>, more: &[(&'static str, &'static str)], service, signature: &str| {
        let mut fields = vec![("host", "example.amazonaws.com"), ("x-amz-date", at)];
        fields.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        fields.extend_from_slice(more);
        fields.sort_unstable();
        let scope = Scope { region: "us-east-1", service };
        let made = authorization(asked, &fields, KEYS, scope, stamp(at));
        assert!(made.ends_with(&format!("Signature={signature}")), "{made}");
        assert_eq!(verify(asked, &headers(&fields, &made), stamp(at)), Ok(()));
    };
    let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    check(&asked("GET", "/", None, ""), &[], "service", vanilla);
    let post = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
    check(&asked("POST", "/", None, ""), &[], "service", post);
    let ordered = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
    check(&asked("GET", "/", Some("Param2=value2&Param1=value1"), ""), &[], "service", ordered);
    let trimmed = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736";
    let blanks = [("my-header1", "value1"), ("my-header2", "\"a   b   c\"")];
    check(&asked("GET", "/", None, ""), &blanks, "service", trimmed);
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    let users = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let query = Some("Action=ListUsers&Version=2010-05-08");
    let iam = [("content-type", form), ("host", "iam.amazonaws.com")];
    check(&asked("GET", "/", query, ""), &iam, "iam", users);
}

/// Made by botocore 1.43 for the key above.
#[test]
fn requests_to_bedrock_are_signed_as_botocore_signs_them() {
    let at = "20260301T120000Z";
    let check = |path, query, host, more: &[(&'static str, &'static str)], signature: &str| {
        let mut fields = vec![("content-type", "application/json"), ("host", host), ("x-amz-date", at)];
        fields.extend_from_slice(more);
        let asked = asked("POST", path, query, r#"{"messages":[]}"#);
        let scope = Scope { region: "us-east-1", service: "bedrock" };
        let made = authorization(&asked, &fields, KEYS, scope, stamp(at));
        assert!(made.ends_with(&format!("Signature={signature}")), "{made}");
        assert_eq!(verify(&asked, &headers(&fields, &made), stamp(at)), Ok(()));
    };
    let sonnet = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse";
    let host = "bedrock-runtime.us-east-1.amazonaws.com";
    check(sonnet, None, host, &[], "1f17e09afce51c2eaeda85a02e724cbe23af118e0b55a4c38a8646ec884759f4");
    let session = [("x-amz-security-token", "sess+/ion==")];
    check(sonnet, None, host, &session, "a1d0e79993a49e02f6c48cabba9bb7636c8777a7749747e3bc0a09cc4795ebc2");
    let arn = "/bedrock/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ax%2Fy/converse-stream";
    let signature = "9e60139fb387eed26685b0ad5ece9e48718d1c514eacec1df6ee84fee1c5d66a";
    check(arn, Some("a=1&B=%2F"), "127.0.0.1:8080", &[("x-two", " a   b ")], signature);
}

#[test]
fn a_signature_holds_for_its_own_request_and_time_only() {
    let (at, body) = ("20260301T120000Z", "{}");
    let good = asked("POST", "/model/a%3A0/converse", None, body);
    let fields = [("host", "h"), ("x-amz-date", at)];
    let scope = Scope { region: "us-east-1", service: "bedrock" };
    let made = authorization(&good, &fields, KEYS, scope, stamp(at));
    let signed = headers(&fields, &made);
    let now = stamp(at);
    assert_eq!(verify(&good, &signed, now), Ok(()));
    assert_eq!(verify(&good, &signed, stamp("20260301T120500Z")), Ok(()));
    assert_eq!(verify(&good, &signed, stamp("20260301T120501Z")), Err(Refused::Stale));
    assert_eq!(verify(&good, &signed, stamp("20260301T115459Z")), Err(Refused::Stale));
    for other in [
        asked("PUT", "/model/a%3A0/converse", None, body),
        asked("POST", "/model/a:0/converse", None, body),
        asked("POST", "/model/a%3A0/converse", Some("x"), body),
        asked("POST", "/model/a%3A0/converse", None, "{ }"),
    ] {
        assert_eq!(verify(&other, &signed, now), Err(Refused::Mismatch));
    }
    let claim = Claim::read(&signed).expect("a claim");
    assert_eq!((claim.access, claim.scope), ("AKIDEXAMPLE", scope));
    assert_eq!(claim.verify(&good, &signed, None, "another", now), Err(Refused::Mismatch));
    let mut moved = signed.clone();
    moved.insert("host", HeaderValue::from_static("elsewhere"));
    assert_eq!(verify(&good, &moved, now), Err(Refused::Mismatch));
    // HTTP/2 names its host elsewhere.
    moved.remove("host");
    assert_eq!(Claim::read(&moved).and_then(|c| c.verify(&good, &moved, Some("h"), SECRET, now)), Ok(()));
    assert_eq!(verify(&good, &moved, now), Err(Refused::Mismatch));
    let mut hashed = signed.clone();
    hashed.insert("x-amz-content-sha256", HeaderValue::from_static("UNSIGNED-PAYLOAD"));
    assert_eq!(verify(&good, &hashed, now), Err(Refused::OtherBody));
}

/// Made by botocore 1.43 for the key above, with `X-Amz-Content-SHA256: UNSIGNED-PAYLOAD` set by hand.
#[test]
fn a_body_may_stay_unsigned_only_where_that_is_allowed_and_said_under_the_signature() {
    let at = "20260301T120000Z";
    let body = asked("POST", "/model/a/converse", None, "{}");
    let unsigned = ("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let fields = [("host", "h"), unsigned, ("x-amz-date", at)];
    let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260301/us-east-1/bedrock/aws4_request, \
                  SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
                  Signature=d3168f55214981b050a33a6359c67b7021c0017dd5e2163d4093ac990802b050";
    let signed = headers(&fields, signed);
    let check = |headers: &HeaderMap, payload| {
        Claim::read(headers)
            .and_then(|claim| claim.covering(payload).verify(&body, headers, None, SECRET, stamp(at)))
    };
    assert_eq!(check(&signed, Payload::MayBeUnsigned), Ok(()));
    assert_eq!(check(&signed, Payload::Signed), Err(Refused::OtherBody));
    // Put there by somebody else: the signature is for a body.
    let scope = Scope { region: "us-east-1", service: "bedrock" };
    let bare = [("host", "h"), ("x-amz-date", at)];
    let mut added = headers(&bare, &authorization(&body, &bare, KEYS, scope, stamp(at)));
    assert_eq!(check(&added, Payload::MayBeUnsigned), Ok(()));
    added.insert(unsigned.0, HeaderValue::from_static(unsigned.1));
    assert_eq!(check(&added, Payload::MayBeUnsigned), Err(Refused::OtherBody));
    added.insert(unsigned.0, HeaderValue::from_static("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"));
    assert_eq!(check(&added, Payload::MayBeUnsigned), Err(Refused::OtherBody));
}

#[test]
fn what_is_no_signature_says_why() {
    let check = |authorization: &str, why| {
        let fields = [("host", "h"), ("x-amz-date", "20260301T120000Z")];
        let found =
            verify(&asked("GET", "/", None, ""), &headers(&fields, authorization), Stamp::at(Duration::ZERO));
        assert_eq!(found, Err(why), "{authorization}");
    };
    let hex = "0".repeat(64);
    let whole = |credential: &str, names: &str, signature: &str| {
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}")
    };
    let scope = "A/20260301/us-east-1/bedrock/aws4_request";
    check("Bearer sk-1", Refused::Unsigned);
    check("AWS4-HMAC-SHA256", Refused::Malformed);
    check("AWS4-HMAC-SHA256 Credential=a, Signature=b", Refused::Malformed);
    check(&whole("A/20260301/us-east-1/bedrock/aws3", "host;x-amz-date", &hex), Refused::Malformed);
    check(&whole("A/20260301/bedrock/aws4_request", "host;x-amz-date", &hex), Refused::Malformed);
    check(&whole(scope, "x-amz-date;host", &hex), Refused::Malformed);
    check(&whole(scope, "host;x-amz-date", "beef"), Refused::Malformed);
    check(&whole(scope, "host;x-amz-date", &"é".repeat(32)), Refused::Unsigned);
    check(&whole(scope, "host", &hex), Refused::Uncovered);
    check(&whole("A/20260302/us-east-1/bedrock/aws4_request", "host;x-amz-date", &hex), Refused::Malformed);
    check(&whole(scope, "host;x-amz-date", &hex), Refused::Stale);
    assert_eq!(Claim::read(&HeaderMap::new()), Err(Refused::Unsigned));
}

#[test]
fn keys_are_told_from_bearer_tokens() {
    let pair = Keys::parse("AKIAIOSFODNN7EXAMPLE:wJal/K7M+x=").expect("a pair");
    assert_eq!((pair.access, pair.secret, pair.session), ("AKIAIOSFODNN7EXAMPLE", "wJal/K7M+x=", None));
    assert_eq!(Keys::parse("ASIA1:s:t:u").expect("three").session, Some("t:u"));
    for other in ["bedrock-api-key-YmVk", "ABSKQmVk", "AKIA1", "AKIA1:", "AKIA1:s:", "AKIA-1:s", "sk:1"] {
        assert_eq!(Keys::parse(other), None, "{other}");
    }
    assert!(!format!("{pair:?}").contains("wJal"));
}

proptest! {
    #[test]
    fn nothing_in_a_header_breaks_the_reading(text in "(AWS4-HMAC-SHA256 )?[ -~]{0,80}") {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&text).expect("visible"));
        prop_assert!(verify(&asked("GET", "/", None, ""), &headers, Stamp::at(Duration::ZERO)).is_err());
    }

    #[test]
    fn whatever_is_signed_is_believed(
        path in "(/[a-z%:~. -]{0,9}){0,4}", query in "([a-c]=?[0-9]?&?){0,5}", body in ".{0,40}", value in "[ -~]{0,20}",
    ) {
        let at = Stamp::at(Duration::from_secs(1_700_000_000));
        let date = at.to_string();
        let fields = [("host", "h"), ("x-amz-date", &*date), ("x-z", &*value)];
        let asked = asked("POST", &path, Some(&query), &body);
        let scope = Scope { region: "r", service: "s" };
        let made = authorization(&asked, &fields, KEYS, scope, at);
        prop_assert_eq!(verify(&asked, &headers(&fields, &made), at), Ok(()));
    }
}

#[test]
fn a_hundred_signed_headers_are_read_and_no_more() {
    let read = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("x-{number:03}")).collect();
        let signature = "0".repeat(64);
        let text = format!(
            "AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/bedrock/aws4_request, SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        Claim::read(&headers(&[], &text)).map(|_| ())
    };
    assert_eq!(read(100), Ok(()));
    for count in [101, 102, 200] {
        assert_eq!(read(count), Err(Refused::Malformed), "{count}");
    }
}

#[test]
fn keys_are_never_shown_and_hashes_are() {
    assert_eq!(format!("{KEYS:?}"), "Keys(…)");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(format!("{:?}", Hash::of([&b""[..]])), format!("Hash({empty})"));
}
