//! What is asked where the command line does not say: what the agreement grants.

use std::fs;

use accord_proto::{
    c2sp::{SignedNote, SigningKey},
    v1::{self, agreement_service_server::AgreementService},
};
use serde_json::Value;
use tonic::{Code, Request, Response, Status};

use crate::{
    agreement::SAMPLE,
    command::beside,
    parties::Parties,
    stub::{Broker, Stub, refusal},
};

const NUMBER: &str = "+447700900001";

#[tonic::async_trait]
impl AgreementService for Broker {
    async fn get_agreement(
        &self,
        _: Request<v1::GetAgreementRequest>,
    ) -> Result<Response<v1::GetAgreementResponse>, Status> {
        let note = self.0.agreement.clone();
        let note = note.ok_or_else(|| refusal(Code::Unimplemented, 0))?;
        Ok(Response::new(v1::GetAgreementResponse {
            note,
            ..v1::GetAgreementResponse::default()
        }))
    }

    async fn act(&self, _: Request<v1::ActRequest>) -> Result<Response<v1::ActResponse>, Status> {
        Err(refusal(Code::Unimplemented, 0))
    }

    async fn history(
        &self,
        _: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        Ok(Response::new(v1::HistoryResponse::default()))
    }

    async fn get_document(
        &self,
        _: Request<v1::GetDocumentRequest>,
    ) -> Result<Response<v1::GetDocumentResponse>, Status> {
        Err(refusal(Code::Unimplemented, 0))
    }
}

async fn set_up(agreement: &str) -> (Stub, tempfile::TempDir) {
    let mut note = SignedNote::unsigned(agreement).unwrap();
    note.sign(&SigningKey::generate("central-bank").unwrap())
        .unwrap();
    let parties = Parties::new();
    let stub = Stub::with_agreement(&parties, note.to_string()).await;
    let dir = tempfile::tempdir().unwrap();
    parties.write_profile(dir.path(), stub.address);
    (stub, dir)
}

fn sample() -> String {
    fs::read_to_string(SAMPLE).unwrap()
}

fn asked(document: &Value) -> Vec<String> {
    let signals = document["signals"].as_array().unwrap().iter();
    let words = signals.map(|signal| {
        let name = signal["signal"].as_str().unwrap();
        let hours = signal["threshold_hours"].as_u64();
        hours.map_or_else(|| name.to_owned(), |hours| format!("{name}={hours}"))
    });
    words.collect()
}

#[tokio::test]
async fn a_lookup_asks_what_the_agreement_grants_for_the_purpose() {
    let (_stub, dir) = set_up(&sample()).await;
    for (more, expected) in [
        (
            ["--purpose", "login"].as_slice(),
            ["sim_swap=72", "device_swap=72"].as_slice(),
        ),
        (
            &["--purpose", "otp_send", "--since", "2024-01-31"],
            &["sim_swap=72", "call_forwarding", "number_recycling"],
        ),
        (
            &["--purpose", "limit_change", "--since", "2024-01-31"],
            &["sim_swap=72", "device_swap=72"],
        ),
    ] {
        let args = [&["lookup", NUMBER, "--json"], more].concat();
        let (code, out, error) = beside(dir.path(), &args).await;
        assert_eq!(code, 0, "{error}");
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(asked(&document), expected);
    }
    let args = ["lookup", NUMBER, "--purpose", "login"];
    let (_, _, error) = beside(dir.path(), &args).await;
    assert!(
        error.contains("login: SIM swap ≤ 72 h, device swap ≤ 72 h"),
        "{error}"
    );
}

#[tokio::test]
async fn where_nothing_is_granted_everything_is_asked_so_that_the_broker_says_why_not() {
    let (_stub, dir) = set_up(&sample()).await;
    let args = ["lookup", NUMBER, "--json", "--purpose", "dormant_account"];
    let (code, out, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 0, "{error}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["signals"].as_array().unwrap().len(), 4);
    // So it is where the agreement can't be read.
    let (_stub, dir) = set_up("of another kind\n").await;
    let (code, out, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 0, "{error}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["signals"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn what_is_granted_from_a_date_alone_is_not_asked_without_one() {
    // One clause of the sample alone, for the other bank.
    let sample = sample();
    let (head, clauses) = sample.split_once("[[clause]]").unwrap();
    let mut clauses = clauses.split("[[clause]]");
    let clause = clauses
        .find(|clause| clause.contains("id = \"4.2\""))
        .unwrap();
    let clause = clause.replace("second-bank", "first-bank");
    let agreement = format!("{head}[[clause]]{clause}");
    let (stub, dir) = set_up(&agreement).await;
    let args = ["lookup", NUMBER, "--purpose", "dormant_account"];
    let (code, _, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 2, "{error}");
    assert!(
        error.contains("number_recycling needs a date, with --since"),
        "{error}"
    );

    let numbers = dir.path().join("numbers.csv");
    fs::write(
        &numbers,
        "number,since\n+447700900001,2024-01-31\n+447700900002,\n",
    )
    .unwrap();
    let file = numbers.to_str().unwrap();
    let args = ["screen", file, "--purpose", "dormant_account"];
    let (code, _, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 1, "{error}");
    assert!(
        error.contains("line 3: number_recycling needs a date"),
        "{error}"
    );
    assert!(stub.seen.request_ids.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_yes_or_no_names_the_window_of_its_clause() {
    let (_stub, dir) = set_up(&sample()).await;
    let args = ["lookup", NUMBER, "--signal", "sim_swap"];
    let (code, out, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("no change within 72 h"), "{out}");
    let (_, out, _) = beside(dir.path(), &[args.as_slice(), &["--json"]].concat()).await;
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(asked(&document), ["sim_swap=72"]);

    let numbers = dir.path().join("numbers.txt");
    fs::write(&numbers, NUMBER).unwrap();
    let output = dir.path().join("out.csv");
    let (file, to) = (numbers.to_str().unwrap(), output.to_str().unwrap());
    let args = ["screen", file, "--signal", "sim_swap", "--output", to];
    let (code, _, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 0, "{error}");
    let text = fs::read_to_string(&output).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
    let column = rows[0]
        .iter()
        .position(|name| *name == "sim_swap_hours")
        .unwrap();
    assert_eq!((rows[1][column - 1], rows[1][column]), ("no", "72"));
}

#[tokio::test]
async fn a_screening_asks_what_is_granted() {
    let (_stub, dir) = set_up(&sample()).await;
    let numbers = dir.path().join("numbers.txt");
    fs::write(&numbers, NUMBER).unwrap();
    let args = ["screen", numbers.to_str().unwrap(), "--purpose", "login"];
    let (code, _, error) = beside(dir.path(), &args).await;
    assert_eq!(code, 0, "{error}");
    let text = fs::read_to_string(dir.path().join("numbers.txt.answers.jsonl")).unwrap();
    let record: Value = serde_json::from_str(text.trim()).unwrap();
    let answer = &record["result"]["answer"];
    assert_eq!(asked(answer), ["sim_swap=72", "device_swap=72"]);
}
