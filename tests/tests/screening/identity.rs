//! A stream that outlives its token, and one whose certificate is revoked.

use std::time::Duration;

use accord_tests::world::{WAIT_MAX, WorldSpec};
use tokio::time::Instant;

use super::{
    access_count,
    raw::{Raw, Told, line, token},
    start,
};

const QUIET: u32 = 100;
/// A revocation acts within a second; the rest is for a machine with much to do.
const REVOKED_WITHIN: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn a_token_that_ends_is_announced_and_a_fresh_one_goes_on() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let short = token(&world, "first-bank", 2);
    let mut stream = Raw::open(&world, "first-bank", &short).await.unwrap();
    assert!(matches!(stream.next().await.unwrap(), Told::Expiring));
    assert!(matches!(
        stream.ask(line("early", QUIET)).await,
        Told::Answer(..)
    ));
    let until = Instant::now() + WAIT_MAX;
    let refusal = loop {
        assert!(Instant::now() < until, "the token never ends");
        if let Told::Refusal(refusal) = stream.ask(line("in between", QUIET)).await {
            break refusal;
        }
    };
    assert_eq!(refusal.reason, "TOKEN_EXPIRED");
    assert_eq!(refusal.code, tonic::Code::Unauthenticated as i32);
    let before = access_count(&world);
    let late = stream.ask(line("late", QUIET)).await;
    assert_eq!(late.refusal().reason, "TOKEN_EXPIRED");
    assert_eq!(access_count(&world), before, "nothing was asked");

    stream.refresh(token(&world, "first-bank", 240)).await;
    let told = stream.ask(line("late", QUIET)).await;
    assert!(matches!(told, Told::Answer(..)), "{told:?}");
    assert_eq!(access_count(&world), before + 1);
}

#[tokio::test]
async fn a_token_that_is_not_the_streams_own_is_refused_and_the_old_one_stays() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let own = token(&world, "first-bank", 240);
    let mut stream = Raw::open(&world, "first-bank", &own).await.unwrap();
    let foreign = token(&world, "second-bank", 240);
    // A token of the same bank, bound to the certificate that it gets next.
    world.files.renew("bank", "first-bank").unwrap();
    let bound_elsewhere = token(&world, "first-bank", 240);
    for (bad, reason) in [
        (foreign, "TOKEN_UNKNOWN_KEY"),
        (bound_elsewhere, "TOKEN_WRONG_CERTIFICATE"),
        ("no token".to_owned(), "TOKEN_MALFORMED"),
    ] {
        stream.refresh(bad).await;
        let told = stream.next().await.unwrap();
        let refusal = told.refusal();
        assert_eq!(
            (refusal.correlation_id.as_str(), refusal.reason.as_str()),
            ("", reason)
        );
        assert!(matches!(
            stream.ask(line(reason, QUIET)).await,
            Told::Answer(..)
        ));
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_certificate_is_revoked() {
    let (_dir, world) = start(WorldSpec::default()).await;
    let own = token(&world, "first-bank", 240);
    let mut stream = Raw::open(&world, "first-bank", &own).await.unwrap();
    assert!(matches!(
        stream.ask(line("before", QUIET)).await,
        Told::Answer(..)
    ));
    world.files.revoke("first-bank").unwrap();
    let revoked = Instant::now();
    let mut last_answer = revoked;
    let mut asked = 1;
    let mut refused = 0;
    loop {
        let id = format!("line-{asked}-{refused}");
        let sent = stream
            .lines
            .send(super::raw::message(line(&id, QUIET)))
            .await;
        if sent.is_err() {
            break;
        }
        match stream.next().await {
            Ok(Told::Answer(..)) => {
                assert_eq!(refused, 0, "an answer after a refusal");
                asked += 1;
                last_answer = Instant::now();
            }
            Ok(Told::Refusal(refusal)) => {
                assert_eq!(refusal.reason, "CERTIFICATE_REVOKED");
                refused += 1;
            }
            Ok(Told::Expiring) => panic!("the token is fresh"),
            Err(_) => break,
        }
    }
    let ended = revoked.elapsed();
    assert!(
        last_answer - revoked < REVOKED_WITHIN,
        "{:?}",
        last_answer - revoked
    );
    assert!(
        ended < REVOKED_WITHIN + Duration::from_millis(500),
        "{ended:?}"
    );
    let again = Raw::open(&world, "first-bank", &own).await;
    assert!(again.is_err());
    let on_record = access_count(&world);
    assert!(
        on_record == asked || on_record == asked + 1,
        "whatever was told is on the record, and of more only the line on its way as the stream \
         ended: {on_record}, {asked} told"
    );
}
