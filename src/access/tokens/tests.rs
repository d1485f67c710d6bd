//! Whose tokens are taken, for how long, and whose place their claims name.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::access::{Access, Denied, Signing, Standing};
use crate::config::testing::Given;
use crate::config::{self, Level};

const ISS: &str = "https://login.example.com";
const NOW: u64 = 1_800_000_000;

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key, of each kind.
enum Pen {
    Rsa(&'static str, RsaKeyPair),
    Ec(&'static str, EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Pen {
    fn new(algorithm: &'static str) -> Self {
        match algorithm {
            "ES256" => {
                Self::Ec(algorithm, EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
            }
            "ES384" => {
                Self::Ec(algorithm, EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
            }
            "EdDSA" => Self::Ed(Ed25519KeyPair::generate().expect("a key")),
            _ => Self::Rsa(algorithm, RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(algorithm, _) | Self::Ec(algorithm, _) => algorithm,
            Self::Ed(_) => "EdDSA",
        }
    }

    /// As its issuer publishes it.
    fn published(&self, id: &str) -> Value {
        match self {
            Self::Rsa(_, pair) => {
                // RFC 8017 A.1.1, with lengths as 2048 bits have them.
                let der = pair.public_key().as_ref();
                let (n, e) = (base64(&der[9..265]), base64(&der[267..270]));
                json!({"kty": "RSA", "use": "sig", "kid": id, "n": n, "e": e})
            }
            Self::Ec(algorithm, pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if *algorithm == "ES256" { "P-256" } else { "P-384" };
                json!({"kty": "EC", "kid": id, "alg": algorithm, "crv": curve, "x": base64(x), "y": base64(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": base64(pair.public_key().as_ref())})
            }
        }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(algorithm, pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let how = if *algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(how, &SystemRandom::new(), text, &mut signature).expect("a signature");
                signature
            }
            Self::Ec(_, pair) => {
                pair.sign(&SystemRandom::new(), text).expect("a signature").as_ref().to_vec()
            }
            Self::Ed(pair) => pair.sign(text).as_ref().to_vec(),
        }
    }

    fn token(&self, id: &str, claims: &Value) -> String {
        self.token_with(&json!({"typ": "JWT", "alg": self.algorithm(), "kid": id}), claims)
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed =
            format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        let signature = base64(&self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// One that all tests may share.
static PEN: LazyLock<Pen> = LazyLock::new(|| Pen::new("EdDSA"));

fn set(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is used")]
fn claims(more: Value) -> Value {
    let mut claims = json!({"iss": ISS, "aud": "mainstay", "sub": "ada", "exp": NOW + 600});
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

struct House {
    access: Access,
    publishers: Publishers,
}

const TREE: &str = "organisations: {acme: {max_priority: sheddable_plus}, other: {}}\n\
    teams: {growth: {organisation: acme, limits: {rpm: 7}}, sales: {organisation: other}, gone: {expires: 2020-01-01}}\n\
    users: {ada@acme.com: {team: growth}, bob: {team: sales}}\n";

/// A gateway that trusts `okta`, of which `said` says more.
fn house(said: &str, keys: &[Value]) -> House {
    let text = format!(
        "version: 1\naccess: keys\n{TREE}\
         issuers: {{okta: {{issuer: '{ISS}', audience: [mainstay, other], limits: {{rpm: 5}}{said}}}}}\n\
         upstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, channels: [{{upstream: a}}]}}]\n"
    );
    let blueprint =
        config::load(&text, &Given::default()).unwrap_or_else(|error| panic!("{error:?}")).blueprint;
    let (metrics, publishers) = (Metrics::new(), Publishers::default());
    let access = Access::compile(&blueprint, &metrics).trusting(&blueprint.issuers, &publishers, &metrics);
    if !keys.is_empty() {
        publishers.all()[0].came(set(keys), at(0)).expect("a good set");
    }
    House { access, publishers }
}

fn at(seconds: i64) -> Duration {
    Duration::from_secs(NOW.saturating_add_signed(seconds))
}

impl House {
    fn judge(&self, token: &str, seconds: i64) -> Result<Arc<Key>, Denied> {
        let value = HeaderValue::try_from(format!("Bearer {token}")).expect("a value");
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
        let standing = self.access.judge(&headers, None, Signing::Aws, at(seconds))?;
        standing.unsigned()
    }

    /// The place of whoever has this token, or why it is no way in.
    fn whose(&self, token: &str, seconds: i64) -> String {
        match self.judge(token, seconds) {
            Ok(key) => {
                let names = key.lineage.members().iter().map(|member| &*member.name);
                names.collect::<Vec<_>>().join(" > ")
            }
            Err(Denied::Token(rejected)) => rejected.why.name().to_owned(),
            Err(denied) => format!("{denied:?}"),
        }
    }

    fn says(&self, claims: &Value) -> String {
        self.whose(&PEN.token("1", claims), 0)
    }
}

#[test]
fn every_kind_of_signature_is_taken_and_only_from_the_key_it_is_for() {
    let pens = ["RS256", "PS256", "ES256", "ES384", "EdDSA"].map(Pen::new);
    let keys: Vec<Value> = pens.iter().map(|pen| pen.published(pen.algorithm())).collect();
    let all = house("", &keys);
    for pen in &pens {
        let id = pen.algorithm();
        assert_eq!(all.whose(&pen.token(id, &claims(json!({}))), 0), "okta:ada", "{id}");
        let unnamed = json!({ "alg": id });
        assert_eq!(
            all.whose(&pen.token_with(&unnamed, &claims(json!({}))), 0),
            "okta:ada",
            "{id} by any key"
        );
        for other in pens.iter().filter(|other| other.algorithm() != id) {
            let header = json!({"alg": id, "kid": other.algorithm()});
            assert_eq!(all.whose(&pen.token_with(&header, &claims(json!({}))), 0), "bad_signature");
            let header = json!({"alg": other.algorithm(), "kid": id});
            assert_eq!(all.whose(&pen.token_with(&header, &claims(json!({}))), 0), "bad_signature");
        }
        let narrow = house(", algorithms: [ES384]", &keys);
        let expected = if id == "ES384" { "okta:ada" } else { "bad_signature" };
        assert_eq!(narrow.whose(&pen.token(id, &claims(json!({}))), 0), expected);
    }
}

/// Whoever has no token yet may send as many as he likes.
#[test]
fn a_token_that_names_no_key_is_held_against_four_of_its_kind_and_one_that_does_against_its_own() {
    let others: Vec<Pen> = (0..40).map(|_| Pen::new("ES256")).collect();
    let pens: Vec<Pen> = (0..5).map(|_| Pen::new("EdDSA")).collect();
    let published = others.iter().chain(&pens).enumerate().map(|(at, pen)| pen.published(&at.to_string()));
    let house = house("", &published.collect::<Vec<_>>());
    let unnamed = |pen: &Pen| pen.token_with(&json!({"alg": pen.algorithm()}), &claims(json!({})));
    for (at, pen) in pens.iter().enumerate() {
        let expected = if at < 4 { "okta:ada" } else { "keys_unknown" };
        assert_eq!(house.whose(&unnamed(pen), 0), expected, "{at}");
        assert_eq!(
            house.whose(&pen.token(&(40 + at).to_string(), &claims(json!({}))), 0),
            "okta:ada",
            "{at}"
        );
    }
}

#[test]
fn a_token_that_signs_itself_proves_nothing() {
    let house = house("", &[PEN.published("1")]);
    let public = match &*PEN {
        Pen::Ed(pair) => pair.public_key().as_ref().to_vec(),
        Pen::Rsa(..) | Pen::Ec(..) => unreachable!("it is another one"),
    };
    for algorithm in ["none", "None", "", "HS256", "RS1", "eddsa"] {
        let header = json!({"alg": algorithm, "kid": "1"});
        let signed = format!(
            "{}.{}",
            base64(header.to_string().as_bytes()),
            base64(claims(json!({})).to_string().as_bytes())
        );
        // As whoever takes the public key for a shared one would check it.
        let shared = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &public);
        let tag = aws_lc_rs::hmac::sign(&shared, signed.as_bytes());
        for signature in [base64(tag.as_ref()), String::new(), base64(&PEN.sign(signed.as_bytes()))] {
            assert_eq!(house.whose(&format!("{signed}.{signature}"), 0), "bad_signature", "{algorithm}");
        }
    }
    let own = Pen::new("EdDSA");
    let header = json!({"alg": "EdDSA", "kid": "1", "jwk": own.published("1"), "jku": "http://127.0.0.1/"});
    assert_eq!(house.whose(&own.token_with(&header, &claims(json!({}))), 0), "bad_signature");
    let header = json!({"alg": "EdDSA", "kid": "1", "crit": ["b64"], "b64": false});
    assert_eq!(house.whose(&PEN.token_with(&header, &claims(json!({}))), 0), "Unknown", "no token at all");
    let stranger = claims(json!({"iss": "https://other.example.com"}));
    assert_eq!(house.says(&stranger), "Unknown", "it is somebody else's");
}

#[test]
fn a_token_holds_in_its_time_and_for_its_audience() {
    let house = house("", &[PEN.published("1")]);
    let check =
        |more: Value, expected: &str| assert_eq!(house.says(&claims(more.clone())), expected, "{more}");
    for (exp, expected) in [(NOW - 59, "okta:ada"), (NOW - 60, "expired"), (0, "expired")] {
        check(json!({ "exp": exp }), expected);
    }
    for (nbf, expected) in [(NOW + 60, "okta:ada"), (NOW + 61, "early")] {
        check(json!({ "nbf": nbf }), expected);
    }
    check(json!({"exp": NOW as f64 + 0.5}), "okta:ada");
    for exp in [json!(null), json!("9999999999"), json!(-1), json!(1e300), json!([NOW + 9])] {
        check(json!({ "exp": exp }), "nameless");
    }
    check(json!({"nbf": "soon"}), "nameless");
    for aud in [json!("mainstay"), json!("other"), json!(["x", "mainstay"]), json!(["other"])] {
        check(json!({ "aud": aud }), "okta:ada");
    }
    for aud in [json!("Mainstay"), json!(null), json!([]), json!({"mainstay": 1}), json!([["mainstay"]])] {
        check(json!({ "aud": aud }), "other_audience");
    }
    for sub in [json!(null), json!(""), json!(7), json!("a\nb"), json!("x".repeat(256))] {
        check(json!({ "sub": sub }), "nameless");
    }
    // It was good a moment ago, and is not believed for longer than it says.
    let token = PEN.token("1", &claims(json!({"exp": NOW + 10})));
    for (second, expected) in [(0, "okta:ada"), (69, "okta:ada"), (70, "expired"), (0, "okta:ada")] {
        assert_eq!(house.whose(&token, second), expected, "{second}");
    }
}

#[test]
fn claims_place_a_caller_in_the_tree_and_say_no_more_than_that() {
    let more = ", claims: {user: email, team: realm.groups, organisation: 'https://acme.com/org'}, refuse: [mallory], \
                allow: {models: [m]}, max_priority: critical_plus";
    let house = house(more, &[PEN.published("1")]);
    let check =
        |more: Value, expected: &str| assert_eq!(house.says(&claims(more.clone())), expected, "{more}");
    check(json!({"email": "ada@acme.com"}), "acme > growth > ada@acme.com > okta:ada");
    check(json!({"email": "bob", "realm": {"groups": ["growth"]}}), "other > sales > bob > okta:ada");
    check(
        json!({"email": "eve", "realm": {"groups": ["none", 7, "growth", "sales"]}}),
        "acme > growth > okta:ada",
    );
    check(json!({"realm.groups": "sales", "realm": {"groups": "growth"}}), "other > sales > okta:ada");
    check(json!({"https://acme.com/org": "acme"}), "acme > okta:ada");
    check(json!({}), "unplaced");
    check(json!({"email": "growth", "team": "growth", "realm": "growth"}), "unplaced");
    check(json!({"email": "ada@acme.com", "sub": "mallory"}), "barred");
    assert!(
        house.says(&claims(json!({"realm": {"groups": "gone"}}))).starts_with("Over"),
        "its team's time is over"
    );
    let key = house.judge(&PEN.token("1", &claims(json!({"email": "ada@acme.com"}))), 0).expect("a caller");
    let own = key.lineage.at(Level::Key).expect("his own");
    assert_eq!(
        (own.limits.rpm, key.lineage.at(Level::Team).and_then(|team| team.limits.rpm)),
        (Some(5), Some(7))
    );
    assert!(key.lineage.bars_model("other").is_some());
    let priority =
        key.urgency.of(crate::vocab::Priority::Critical, Some(crate::vocab::Priority::CriticalPlus));
    assert_eq!(priority, crate::vocab::Priority::SheddablePlus, "as his organisation has it");
}

#[test]
fn whom_no_claim_places_goes_where_the_file_says() {
    let house = house(", claims: {team: groups}, otherwise: {team: sales}", &[PEN.published("1")]);
    assert_eq!(house.says(&claims(json!({}))), "other > sales > okta:ada");
    assert_eq!(house.says(&claims(json!({"groups": "growth"}))), "acme > growth > okta:ada");
}

#[test]
fn a_key_that_is_not_known_is_asked_for_every_ten_seconds_and_rotation_ends_old_tokens() {
    let house = house("", &[]);
    let (one, two) = (Pen::new("EdDSA"), Pen::new("ES256"));
    let (first, second) = (one.token("1", &claims(json!({}))), two.token("2", &claims(json!({}))));
    let published = Arc::clone(&house.publishers.all()[0]);
    assert_eq!(house.whose(&first, 0), "keys_unknown", "nothing has been heard yet");
    assert!(published.is_due(at(0)));
    published.came(set(&[one.published("1")]), at(0)).expect("a good set");
    assert_eq!(house.whose(&first, 0), "okta:ada");
    assert!(!published.is_due(at(599)) && published.is_due(at(600)));
    assert_eq!(house.whose(&second, 1), "keys_unknown");
    assert!(published.is_due(at(1)), "whoever fetches them knows");
    published.came(set(&[one.published("1")]), at(2)).expect("a good set");
    assert_eq!(house.whose(&second, 10), "bad_signature", "it was asked for within ten seconds");
    assert!(!published.is_due(at(10)));
    assert_eq!(house.whose(&second, 11), "keys_unknown");
    assert!(published.is_due(at(11)));
    assert_eq!(
        (house.whose(&second, 11), house.whose(&first, 11)),
        ("keys_unknown".into(), "okta:ada".into())
    );
    // Away, or talking nonsense: what is known goes on.
    published.failed(at(12));
    assert!(published.came(b"<html>".to_vec(), at(13)).is_err());
    assert_eq!(
        (house.whose(&second, 15), house.whose(&first, 15)),
        ("keys_unknown".into(), "okta:ada".into())
    );
    published.came(set(&[two.published("2")]), at(16)).expect("a good set");
    assert_eq!(house.whose(&second, 17), "okta:ada");
    assert_eq!(
        house.whose(&first, 17),
        "bad_signature",
        "what it was signed with is gone, checked before or not"
    );
}

/// That is how an issuer answers to a stolen key.
#[test]
fn an_issuer_that_takes_all_its_keys_back_ends_every_token() {
    for empty in [vec![], vec![json!({"kty": "oct", "k": "AAAA"})]] {
        let house = house("", &[]);
        let pen = Pen::new("EdDSA");
        let token = pen.token("1", &claims(json!({})));
        let published = Arc::clone(&house.publishers.all()[0]);
        published.came(set(&[pen.published("1")]), at(0)).expect("a good set");
        assert_eq!(house.whose(&token, 1), "okta:ada");
        let before = published.generation();
        published.came(set(&empty), at(2)).expect("a set all the same");
        assert!(published.generation() > before);
        assert_eq!(house.whose(&token, 3), "keys_unknown", "it is asked for once more");
        published.came(set(&empty), at(4)).expect("a set all the same");
        assert_eq!(house.whose(&token, 5), "bad_signature");
        assert_eq!(published.failures(), 0);
        published.came(set(&[pen.published("1")]), at(6)).expect("a good set");
        assert_eq!(house.whose(&token, 7), "okta:ada");
    }
}

#[test]
fn what_was_fetched_outlives_a_reload_and_who_is_left_out_of_it_is_forgotten() {
    let House { publishers, .. } = house("", &[PEN.published("1")]);
    let issuer = |iss: &str| Issuer {
        iss: iss.into(),
        ..house("", &[]).access.issuers.trusted[0].issuer.as_ref().clone()
    };
    let (same, other) = (issuer(ISS), issuer("https://other.example.com"));
    assert!(publishers.of(&same).heard().is_some());
    assert!(publishers.of(&other).heard().is_none());
    publishers.keep(std::slice::from_ref(&other), |_| None);
    assert_eq!(publishers.all().len(), 1);
    assert!(publishers.of(&same).heard().is_none());
}

#[test]
fn who_sends_a_token_twice_is_checked_once_and_a_crowd_takes_no_more_room() {
    let house = house("", &[PEN.published("1")]);
    let token = PEN.token("1", &claims(json!({})));
    let first = house.judge(&token, 0).expect("a caller");
    assert!(Arc::ptr_eq(&first, &house.judge(&token, 1).expect("the same")));
    let proven = Proven::default();
    for number in 0..20_000_u32 {
        let digest = hash(&number.to_be_bytes());
        proven.keep(digest, Arc::clone(&first), at(9), (0, 1), at(0));
        assert!(proven.find(&digest, at(1), |_| Some(1)).is_some());
        assert!(number % 100 > 0 || proven.find(&digest, at(1), |_| Some(2)).is_none());
    }
    assert!(proven.count() <= 8192, "{}", proven.count());
}

#[test]
fn the_same_token_in_two_places_is_one_and_nobody_else_may_stand_beside_it() {
    let house = house("", &[PEN.published("1")]);
    let token = |sub: &str, exp: u64| PEN.token("1", &claims(json!({"sub": sub, "exp": exp})));
    let judge = |one: &str, other: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::try_from(one).expect("a value"));
        headers.insert("api-key", HeaderValue::try_from(other).expect("a value"));
        match house.access.judge(&headers, None, Signing::Foreign, at(0)) {
            Ok(Standing::Known(key)) => key.name.to_string(),
            other => format!("{other:?}"),
        }
    };
    let (ada, later, eve) = (token("ada", NOW + 9), token("ada", NOW + 99), token("eve", NOW + 9));
    assert_eq!((judge(&ada, &ada), judge(&ada, &later)), ("okta:ada".into(), "okta:ada".into()));
    for other in [&*eve, "some-key", &token("ada", 0)] {
        assert_eq!(judge(&ada, other), "Err(Disagreeing)");
    }
}

proptest! {
    #[test]
    fn the_nearest_claim_that_names_somebody_places_and_no_other(
        user in proptest::option::of("ada@acme\\.com|bob|eve|growth"),
        teams in proptest::collection::vec("growth|sales|acme|nobody", 0..4),
        organisation in proptest::option::of("acme|other|sales"),
    ) {
        let house = house(", claims: {user: u, team: t, organisation: o}", &[PEN.published("1")]);
        let said = house.says(&claims(json!({"u": user, "t": teams, "o": organisation})));
        let place = match user.as_deref() {
            Some("ada@acme.com") => Some("acme > growth > ada@acme.com > "),
            Some("bob") => Some("other > sales > bob > "),
            _ => None,
        };
        let team = teams.iter().find_map(|team| match team.as_str() {
            "growth" => Some("acme > growth > "),
            "sales" => Some("other > sales > "),
            _ => None,
        });
        let whole = match organisation.as_deref() {
            Some("acme") => Some("acme > "),
            Some("other") => Some("other > "),
            _ => None,
        };
        let expected = place.or(team).or(whole).map_or("unplaced".to_owned(), |above| format!("{above}okta:ada"));
        prop_assert_eq!(said, expected);
    }

    #[test]
    fn no_byte_of_a_token_can_be_another(place in any::<prop::sample::Index>(), to in "[ -~]") {
        let house = house("", &[PEN.published("1")]);
        let token = PEN.token("1", &claims(json!({})));
        let at = place.index(token.len());
        let mut other = token.clone();
        other.replace_range(at..=at, &to);
        prop_assert!(other == token || house.judge(&other, 0).is_err());
    }

    #[test]
    fn nothing_that_is_sent_in_place_of_a_token_does_harm(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 1..5),
        shape in any::<bool>(),
    ) {
        let house = house("", &[PEN.published("1")]);
        let text = if shape {
            parts.iter().map(|part| base64(part)).collect::<Vec<_>>().join(".")
        } else {
            format!("eyJ{}", parts.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>().join("."))
        };
        prop_assert!(house.access.issuers.judge(text.as_bytes(), at(0)).is_none_or(|judged| judged.is_err()));
        let _ = KeySet::read(text.as_bytes());
    }
}
