//! Questions that are refused: each names its field, asks nobody, and is on the record.

use accord_proto::{
    signal::{Question, whole_minute},
    v1::{self, LookupRequest, entry::Event},
    wire,
};
use jiff::SignedDuration;
use tonic::Code;

use crate::{
    caller::{Caller, question, sim_swap, told},
    record,
    said::{Stage, days_ago, north, now},
};

fn recycled(since: String) -> v1::SignalQuestion {
    let since = v1::SinceQuestion { since };
    v1::SignalQuestion {
        signal: Some(v1::signal_question::Signal::NumberRecycling(since)),
    }
}

/// Each with the field at fault.
fn malformed() -> Vec<(&'static str, LookupRequest)> {
    let mut cases = odd_fields();
    cases.extend(odd_signals());
    for number in [
        "",
        "447700900001",
        "+44",
        "+44770090000a",
        "+4477009000012345678",
        "+0123456789",
    ] {
        cases.push(("msisdn", question(number)));
    }
    cases
}

fn odd_fields() -> Vec<(&'static str, LookupRequest)> {
    let with = |field, change: fn(&mut LookupRequest)| {
        let mut asked = question(&north(1));
        change(&mut asked);
        (field, asked)
    };
    vec![
        with("purpose", |asked| asked.purpose = 0),
        with("purpose", |asked| asked.purpose = 99),
        with("on_behalf_of", |asked| {
            asked.on_behalf_of = "Not A Name".to_owned()
        }),
        with("customer_ref", |asked| asked.customer_ref = "x".repeat(129)),
        with("consent_ref", |asked| asked.consent_ref = "x\n".to_owned()),
        with("request_id", |asked| asked.request_id = "x".repeat(65)),
        with("receipt", |asked| asked.receipt = 9),
    ]
}

fn odd_signals() -> Vec<(&'static str, LookupRequest)> {
    let with = |field, signals: Vec<v1::SignalQuestion>| {
        let good = question(&north(1));
        (field, LookupRequest { signals, ..good })
    };
    let since = |date: &str| vec![recycled(date.to_owned())];
    let tomorrow = days_ago(-1).to_string();
    vec![
        with("signals", vec![]),
        with("signals", vec![sim_swap(0); 8]),
        with("signals[1]", vec![sim_swap(24), sim_swap(72)]),
        with(
            "signals[0].signal",
            vec![v1::SignalQuestion { signal: None }],
        ),
        with(
            "signals[0].sim_swap.threshold_hours",
            vec![sim_swap(100_000)],
        ),
        with("signals[0].number_recycling.since", since(&tomorrow)),
        with("signals[0].number_recycling.since", since("yesterday")),
        with("signals[0].number_recycling.since", since("2024-02-30")),
        with("signals[0].signalling_anomaly.since", vec![moment(90)]),
        with("signals[0].signalling_anomaly.since", vec![moment(-3_600)]),
    ]
}

/// A question about attacks since so many seconds before this minute began.
fn moment(ago_s: i64) -> v1::SignalQuestion {
    let since = whole_minute(now()) - SignedDuration::from_secs(ago_s);
    wire::question(&Question::SignallingAnomaly { since })
}

#[tokio::test]
async fn a_malformed_question_names_its_field_and_asks_nobody() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    for (field, asked) in malformed() {
        let before = record::size(&stage);
        let number = asked.msisdn.clone();
        let refused = caller.ask(&stage, asked).await.err().unwrap();
        let expected = (
            Code::InvalidArgument,
            "MALFORMED_FIELD".to_owned(),
            Some(field.to_owned()),
        );
        assert_eq!(told(&refused), expected, "{refused:?}");
        assert!(
            refused.message().starts_with(field),
            "{}",
            refused.message()
        );
        // What was sent is not sent back.
        assert!(number.len() < 5 || !refused.message().contains(number.trim_start_matches('+')));
        let events = record::since(&stage, before);
        let [Event::RefusedCall(call)] = events.as_slice() else {
            panic!("{field}: {events:?}");
        };
        assert_eq!(call.party, "spiffe://accord.test/bank/first-bank");
        assert_eq!(
            (call.reason.as_str(), call.field.as_str()),
            ("MALFORMED_FIELD", field)
        );
        assert_eq!(call.method, "SignalService.Lookup");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_on_the_record() {
    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    caller.ask(&stage, question(&north(1))).await.unwrap();
    let before = record::size(&stage);
    let mut asked = question(&north(1));
    asked.customer_ref = "x".repeat(65 << 10);
    let refused = caller.ask(&stage, asked).await.err().unwrap();
    let expected = (Code::ResourceExhausted, "MESSAGE_TOO_LONG".to_owned(), None);
    assert_eq!(told(&refused), expected, "{refused:?}");
    assert_eq!(
        record::refused(&record::since(&stage, before)),
        [(
            "spiffe://accord.test/bank/first-bank".to_owned(),
            "SignalService.Lookup".to_owned(),
            "MESSAGE_TOO_LONG".to_owned(),
            String::new(),
        )]
    );
    // The connection goes on.
    caller.ask(&stage, question(&north(1))).await.unwrap();
}

#[tokio::test]
async fn a_message_over_the_limit_ends_its_screening_and_nothing_else() {
    use accord_proto::v1::{
        ScreenLine, ScreenRequest, screen_request, screen_response,
        signal_service_client::SignalServiceClient,
    };
    use tonic::Request;

    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let line = |at: usize, question: LookupRequest| {
        let line = ScreenLine {
            correlation_id: at.to_string(),
            question: Some(question),
        };
        ScreenRequest {
            message: Some(screen_request::Message::Line(line)),
        }
    };
    let bearer = format!("Bearer {}", caller.token(&stage, &caller.claims()));
    let screen = async |lines: Vec<ScreenRequest>| {
        let mut request = Request::new(tokio_stream::iter(lines));
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().unwrap());
        let mut client =
            SignalServiceClient::new(caller.channel.clone()).max_encoding_message_size(usize::MAX);
        let mut answers = client.screen(request).await.unwrap().into_inner();
        let mut answered = Vec::new();
        loop {
            match answers.message().await {
                Ok(Some(response)) => {
                    if let Some(screen_response::Message::Answer(answer)) = response.message {
                        answered.push(answer.correlation_id);
                    }
                }
                Ok(None) => break (answered, None),
                Err(status) => break (answered, Some(status)),
            }
        }
    };
    let mut long = question(&north(2));
    long.consent_ref = "x".repeat(65 << 10);
    let before = record::size(&stage);
    let lines = vec![
        line(0, question(&north(0))),
        line(1, long),
        line(2, question(&north(3))),
    ];
    let (_, ended) = screen(lines).await;
    let ended = ended.unwrap();
    assert_eq!(told(&ended).1, "MESSAGE_TOO_LONG", "{ended:?}");
    let refused = record::refused(&record::since(&stage, before));
    assert!(refused.iter().any(|(_, method, reason, _)| {
        method == "SignalService.Screen" && reason == "MESSAGE_TOO_LONG"
    }));
    // The lines without an answer, again, on a new stream of the same connection.
    let (mut answered, ended) = screen(vec![
        line(0, question(&north(0))),
        line(2, question(&north(3))),
    ])
    .await;
    answered.sort();
    assert_eq!(
        (answered, ended.is_none()),
        (vec!["0".to_owned(), "2".to_owned()], true)
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    use tonic::{client::Grpc, codegen::http::uri::PathAndQuery};
    use tonic_prost::ProstCodec;

    let stage = Stage::sandbox().await;
    let caller = Caller::party(&stage, "first-bank");
    let before = record::size(&stage);
    // An `Answer` whose second field is a text where a question has its purpose, a number.
    let nonsense = v1::Answer {
        agreement: "nonsense".to_owned(),
        ..v1::Answer::default()
    };
    let mut grpc = Grpc::new(caller.channel.clone());
    grpc.ready().await.unwrap();
    let mut request = tonic::Request::new(nonsense);
    let bearer = format!("Bearer {}", caller.token(&stage, &caller.claims()));
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().unwrap());
    let path = PathAndQuery::from_static("/accord.v1.SignalService/Lookup");
    let codec: ProstCodec<v1::Answer, v1::LookupResponse> = ProstCodec::default();
    let refused = grpc.unary(request, path, codec).await.err().unwrap();
    let expected = (Code::InvalidArgument, "MALFORMED_MESSAGE".to_owned(), None);
    assert_eq!(told(&refused), expected, "{refused:?}");
    let recorded = record::refused(&record::since(&stage, before));
    assert_eq!(recorded[0].2, "MALFORMED_MESSAGE");
}
