//! Who tries one key after the other from the same place.

use std::time::Duration;

use super::{SHOP, sending, shop};
use crate::lab::Ask;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn wrong_keys_are_slowed_down_by_address_and_good_ones_never_are() {
    let lab = shop().lab;
    let wrong = |number: usize, from: &str| {
        sending(&Ask::chat("demo").from(from), "authorization", &format!("sk-wrong-{number:012}"))
    };
    let right = |from: &str| sending(&Ask::chat("demo").from(from), "authorization", SHOP);
    for number in 0..10 {
        let answer = lab.send(&wrong(number, "192.0.2.1")).await;
        assert_eq!(answer.status, 401, "{number}: {}", answer.text());
        assert_eq!(lab.send(&right("192.0.2.1")).await.status, 200);
    }
    tokio::time::advance(SECOND * 20).await;
    for number in 10..20 {
        let answer = lab.send(&wrong(number, "192.0.2.1")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "40"), "{}", answer.text());
        assert!(answer.text().contains("more than 10 wrong API keys"), "{}", answer.text());
        assert_eq!(answer.header("x-should-retry"), "false", "to try again would be to guess again");
        assert_eq!(lab.send(&right("192.0.2.1")).await.status, 200, "whoever brings a good key is served");
    }
    assert_eq!(lab.send(&wrong(0, "192.0.2.2")).await.status, 401, "another address");
    assert_eq!(
        lab.send(&Ask::chat("demo").from("192.0.2.1")).await.status,
        401,
        "who sends none guesses nothing"
    );
    tokio::time::advance(SECOND * 40).await;
    assert_eq!(lab.send(&wrong(0, "192.0.2.1")).await.status, 401);
    assert_eq!(lab.metric(r#"mainstay_access_total{key="",result="unknown_key"}"#), 22.0);
    lab.assert_quiet().await;
}
