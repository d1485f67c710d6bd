//! Who is known by what, and what is left of a request that was stripped.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use proptest::prelude::*;

use super::*;
use crate::algo::limit::Allowance;
use crate::algo::sigv4::{Asked, Hash, Keys, Payload, Refused, Scope, Stamp, authorization};
use crate::config::{CallerKey, Level, Lineage, Member, Reach, Urgency};
use crate::vocab::Secret;

const SHOP: &str = "secret-of-the-shop";
const NEW: &str = "new-secret-of-shop";
const DESK: &str = "100%/secret+of=the&desk";

fn ring() -> Ring {
    let key = |name: &str, secrets: &[&str]| CallerKey {
        name: name.into(),
        lineage: Lineage::below(
            None,
            Member {
                level: Level::Key,
                name: name.into(),
                tags: Vec::new(),
                reach: Reach::default(),
                limits: Allowance::default(),
                most: None,
                budgets: Arc::default(),
                max_cost: None,
                explain: false,
                zero_log: false,
                expires: None,
            },
        ),
        urgency: Urgency::default(),
        secrets: secrets.iter().map(|secret| Secret::new(*secret)).collect(),
    };
    Ring::new(&[key("shop", &[SHOP, NEW]), key("desk", &[DESK])], &Metrics::new())
}

fn judge(headers: &HeaderMap, query: Option<&str>, signing: Signing) -> Result<Standing, Denied> {
    let ring = ring();
    let find = |secret: &[u8]| ring.find(secret).ok_or(Denied::Unknown);
    ring.judge(find, |_| true, headers, query, signing)
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

/// The name, or why there is none.
fn judged(fields: &[(&'static str, &str)], query: Option<&str>) -> String {
    match judge(&headers(fields), query, Signing::Aws) {
        Ok(Standing::Known(key)) => key.name.to_string(),
        Ok(Standing::Signs(key)) => format!("signs as {}", key.name),
        Ok(Standing::Stranger) => "signs as nobody".to_owned(),
        Err(Denied::Signature { why, key }) => format!("{why:?} of {key:?}"),
        Err(denied) => format!("{denied:?}"),
    }
}

#[test]
fn a_key_is_known_whichever_way_it_comes() {
    let bearer = |secret: &str| format!("Bearer {secret}");
    let check = |fields: &[(&'static str, &str)], query, expected: &str| {
        assert_eq!(judged(fields, query), expected, "{fields:?} {query:?}");
    };
    check(&[("authorization", &bearer(SHOP))], None, "shop");
    check(&[("authorization", &format!("bEARER   {NEW} "))], None, "shop");
    check(&[("x-api-key", DESK)], None, "desk");
    check(&[("x-goog-api-key", DESK)], None, "desk");
    check(&[("api-key", NEW)], None, "shop");
    check(&[], Some("alt=sse&key=secret-of-the-shop&x"), "shop");
    check(&[], Some("key=100%25%2Fsecret%2Bof%3Dthe%26desk"), "desk");
    check(&[("x-api-key", SHOP), ("authorization", &bearer(NEW))], Some("key=secret-of-the-shop"), "shop");
    check(&[], None, "Missing");
    check(&[("authorization", "Bearer "), ("x-api-key", "")], Some("key=&key"), "Missing");
    check(
        &[("authorization", "Basic c2hvcDp4"), ("cookie", SHOP)],
        Some("Key=secret-of-the-shop"),
        "Missing",
    );
    check(&[("authorization", SHOP)], None, "Missing");
    check(&[("x-api-key", "secret-of-the-sho")], None, "Unknown");
    check(&[("x-api-key", "shop")], None, "Unknown");
    check(&[("x-api-key", "one"), ("api-key", "one")], Some("key=one"), "Unknown");
    check(&[("x-api-key", "one"), ("api-key", "two")], None, "Disagreeing");
    check(&[("x-api-key", SHOP), ("api-key", DESK)], None, "Disagreeing");
    check(&[("x-api-key", SHOP), ("x-api-key", "other")], None, "Disagreeing");
    check(&[("x-api-key", "other")], Some("key=secret-of-the-shop"), "Disagreeing");
}

const AT: &str = "20260301T120000Z";
/// The same moment, in seconds since the Unix epoch.
const NOW: u64 = 1_772_366_400;

/// A request that `name` signed with `secret`, and its body.
fn signed(name: &str, secret: &str, body: &str) -> request::Parts {
    let path = "/bedrock/model/a%3A0/converse";
    let scope = Scope { region: "us-east-1", service: "bedrock" };
    let asked = Asked { method: "POST", path, query: None, body: Hash::of([body.as_bytes()]) };
    let fields = [("host", "gateway"), ("x-amz-date", AT)];
    let keys = Keys { access: name, secret, session: None };
    let made = authorization(&asked, &fields, keys, scope, Stamp::parse(AT).expect("a stamp"));
    let mut head = Request::post(path).body(()).expect("a request").into_parts().0;
    head.headers = headers(&fields);
    head.headers.insert("authorization", HeaderValue::from_str(&made).expect("a value"));
    head
}

#[test]
fn who_signs_is_known_when_the_body_is_there() {
    let prove = |head: &request::Parts, body: &str, late: u64| {
        let standing = judge(&head.headers, head.uri.query(), Signing::Aws);
        let now = Duration::from_secs(NOW + late);
        let received =
            Received { head, uri: &head.uri, body: body.as_bytes(), payload: Payload::Signed, now };
        match standing.and_then(|standing| standing.proven(&received)) {
            Ok(key) => key.name.to_string(),
            Err(Denied::Signature { why, key }) => {
                format!("{why:?} of {}", key.map_or("nobody".to_owned(), |key| key.name.to_string()))
            }
            Err(denied) => format!("{denied:?}"),
        }
    };
    assert_eq!(Stamp::at(Duration::from_secs(NOW)).to_string(), AT);
    assert_eq!(prove(&signed("shop", SHOP, "{}"), "{}", 0), "shop");
    assert_eq!(prove(&signed("shop", NEW, "{}"), "{}", 300), "shop", "either secret, within five minutes");
    assert_eq!(prove(&signed("shop", SHOP, "{}"), "{}", 301), "Stale of shop");
    assert_eq!(prove(&signed("shop", DESK, "{}"), "{}", 0), "Mismatch of shop");
    assert_eq!(prove(&signed("shop", SHOP, "{}"), "{ }", 0), "Mismatch of shop");
    assert_eq!(
        prove(&signed("till", SHOP, "{}"), "{}", 0),
        "Mismatch of nobody",
        "as if its name were somebody's"
    );
    let mut two = signed("shop", SHOP, "{}");
    two.headers.insert("x-api-key", HeaderValue::from_static(DESK));
    assert_eq!(prove(&two, "{}", 0), "Disagreeing");
    two.headers.insert("x-api-key", HeaderValue::from_static(NEW));
    assert_eq!(prove(&two, "{}", 0), "shop");
    two.headers.append("authorization", HeaderValue::from_static("Bearer new-secret-of-shop"));
    assert_eq!(prove(&two, "{}", 0), "shop");
    assert_eq!(
        judged(&[("authorization", "AWS4-ECDSA-P256-SHA256 Credential=shop")], None),
        "Unsigned of None"
    );
    assert_eq!(judged(&[("authorization", "AWS4-HMAC-SHA256 Credential=shop")], None), "Malformed of None");
}

#[test]
fn elsewhere_a_signature_is_somebody_elses() {
    let head = signed("shop", SHOP, "");
    assert!(matches!(judge(&head.headers, None, Signing::Foreign), Err(Denied::Missing)));
    let key = judge(&head.headers, None, Signing::Aws).expect("he signs").unsigned();
    assert!(matches!(key, Err(Denied::Missing)));
}

#[test]
fn only_keys_of_ours_are_taken_out_of_a_request() {
    let ring = ring();
    let check =
        |target: &str, fields: &[(&'static str, &str)], left: &str, names: &[(&'static str, &str)]| {
            let mut head = Request::get(target).body(()).expect("a request").into_parts().0;
            head.headers = headers(fields);
            presented::strip(&mut head, |secret| ring.find(secret).is_some());
            assert_eq!(head.uri, left, "{target}");
            assert_eq!(head.headers, headers(names), "{fields:?}");
        };
    let theirs = [("authorization", "Bearer theirs"), ("x-api-key", "k"), ("cookie", SHOP)];
    check("/a?key=1&&b=%00&=", &theirs, "/a?key=1&&b=%00&=", &theirs);
    check("/a?x&key=secret-of-the-shop&&y=%2F", &[], "/a?x&&y=%2F", &[]);
    check("http://h:1/a%2Fb?key=new%2Dsecret-of-shop", &[], "http://h:1/a%2Fb", &[]);
    check("*", &[("api-key", DESK)], "*", &[]);
    check(
        "/",
        &[
            ("x-goog-api-key", SHOP),
            ("x-api-key", "k"),
            ("x-api-key", DESK),
            ("authorization", "bearer  secret-of-the-shop"),
        ],
        "/",
        &[("x-api-key", "k")],
    );
}

#[test]
fn nothing_is_asked_of_anybody_where_there_are_no_keys_and_nothing_is_shown_where_there_are() {
    let none = Ring::new(&[], &Metrics::new());
    assert!(none.is_empty() && none.find(b"").is_none());
    let key = ring().find(SHOP.as_bytes()).expect("it is there");
    let shown = format!("{key:?} {:?}", Denied::Signature { why: Refused::Mismatch, key: Some(key.clone()) });
    assert!(!shown.contains(SHOP) && !shown.contains(NEW), "{shown}");
}

proptest! {
    /// Whoever is known has said a secret.
    #[test]
    fn nobody_is_known_by_chance(value in "[ -~]{0,40}", query in "[ -~]{0,40}") {
        let fields = [("authorization", &*value), ("x-api-key", &*value)];
        let known = judge(&headers(&fields), Some(&query), Signing::Aws);
        prop_assert!(known.is_err());
    }

    /// What is left of a target is one, and holds no key.
    #[test]
    fn no_key_stays_in_a_target(before in "[a-z=&%0-9]{0,9}", after in "[a-z=&%0-9]{0,9}", percent: bool) {
        let secret = if percent { "%73ecret-of-the-shop" } else { SHOP };
        let target = format!("/p?{before}&key={secret}&{after}");
        let mut head = Request::get(&target).body(()).expect("a request").into_parts().0;
        let ring = ring();
        presented::strip(&mut head, |secret| ring.find(secret).is_some());
        prop_assert_eq!(head.uri.to_string(), format!("/p?{before}&{after}"));
    }
}
