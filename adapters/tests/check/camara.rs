//! Another operator's CAMARA APIs, which charge for each question.

use crate::server::{Answer, Upstream, say};
use crate::{Desk, Said, line};

const NUMBERS: [&str; 4] = ["--number", "+447700900001", "--number", "+447700900002"];
const SWAPPED: &str = r#"{"latestSimChange":"2026-01-02T03:04:05Z"}"#;

fn section(upstream: &Upstream, more: &str) -> String {
    let base = format!("https://localhost:{}", upstream.port);
    format!(
        "[[source]]\nkind = \"camara_upstream\"\nname = \"partner\"\nroots_file = {:?}\n\
         sim_swap = \"{base}/sim-swap/v2\"\nroaming = \"{base}/device-roaming-status/v1\"\nknows_within_s = 93600\n{more}\n\
         [source.token]\nurl = \"{base}/oauth/token\"\nclient_id = \"accord\"\n\
         scope = \"sim-swap\"\nclient_secret_file = {:?}\n",
        upstream.file("roots.pem"),
        upstream.file("secret"),
    )
}

fn check(section: &str, arguments: &[&str]) -> Said {
    let desk = Desk::with(section);
    let all = [&NUMBERS[..], arguments].concat();
    let said = tokio::task::block_in_place(|| desk.check(&all));
    assert!(!said.out.contains("s3cr&t") && !said.err.contains("s3cr&t"));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_conforms_and_is_asked_a_few_times_only_about_what_is_believed() {
    let upstream = Upstream::start().await;
    upstream.answers([say(200, SWAPPED)]);
    let said = check(&section(&upstream, "signals = [\"sim_swap\"]"), &[]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(
        said.out
            .contains("source partner (camara_upstream) is up\n")
    );
    assert_eq!(line(&said.out, "sim_swap")[1..4], ["6", "of", "6"]);
    // It says that there was no swap since that of January, which it may learn a day later.
    assert_eq!(line(&said.out, "sim_swap")[4..8], ["26", "h", "26", "h"]);
    let left_out = "not asked, since `signals` leaves it out: roaming";
    assert!(said.out.contains(left_out), "{}", said.out);
    assert_eq!(upstream.script.asked("/retrieve-date").len(), 6);
    assert_eq!(
        upstream.script.asked("/retrieve").len(),
        0,
        "roaming was paid for"
    );
    assert_eq!(upstream.script.asked("/token").len(), 1);
    let said = check(
        &section(&upstream, "signals = [\"sim_swap\"]"),
        &["--rounds", "5"],
    );
    assert_eq!(line(&said.out, "sim_swap")[1..4], ["10", "of", "10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_refuses_is_overloaded_or_gone_does_not_conform_and_is_named() {
    let upstream = Upstream::start().await;
    let only = section(&upstream, "signals = [\"sim_swap\"]");
    let refused = say(401, r#"{"error":"invalid_client"}"#);
    upstream
        .script
        .tokens
        .lock()
        .unwrap()
        .extend(vec![refused; 64]);
    let said = check(&only, &[]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("is refused_credentials: "),
        "{}",
        said.out
    );
    upstream.script.tokens.lock().unwrap().clear();

    upstream.answers([Answer::Say(429, Some(60), "{}".into())]);
    let said = check(&only, &[]);
    assert_eq!(said.code, Some(1));
    let swap = line(&said.out, "sim_swap");
    assert_eq!(swap[swap.len() - 2..], ["overloaded", "6"]);
    let wrong = "wrong: sim_swap: no answer to 6 of 6 questions";
    assert!(said.out.contains(wrong), "{}", said.out);
    // Told to wait, it asks no more.
    assert_eq!(upstream.script.asked("/retrieve-date").len(), 1);

    upstream.answers([say(200, "not what was hoped for")]);
    let said = check(&only, &[]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("is unusable: "), "{}", said.out);
    let port = {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().port()
    };
    let gone = only.replace(&format!(":{}", upstream.port), &format!(":{port}"));
    let said = check(&gone, &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("is down: "), "{}", said.out);
}
