//! Who may call what: every role has its door, and knocks at the others in vain.

use accord_certs::LeafOptions;
use accord_proto::v1::{
    AdapterMessage, GetAgreementRequest, GetCheckpointRequest, GetEntryRequest,
    ProveInclusionRequest, TailRequest, adapter_service_client::AdapterServiceClient,
    agreement_service_client::AgreementServiceClient, audit_service_client::AuditServiceClient,
};
use tonic::{Code, Status};

use crate::{
    caller::{Caller, question, told},
    record,
    said::{Stage, north, now},
};

fn id(role: &str, org: &str) -> String {
    format!("spiffe://accord.test/{role}/{org}")
}

async fn attach(caller: &Caller) -> Status {
    let mut client = AdapterServiceClient::new(caller.channel.clone());
    let messages = tokio_stream::iter(Vec::<AdapterMessage>::new());
    client.attach(messages).await.err().unwrap()
}

#[tokio::test]
async fn only_banks_ask_about_numbers() {
    let stage = Stage::sandbox().await;
    for (role, org) in [("operator", "north-mobile"), ("authority", "central-bank")] {
        let caller = Caller::party(&stage, org);
        let before = record::size(&stage);
        let refused = caller.ask(&stage, question(&north(1))).await.err().unwrap();
        let expected = (Code::PermissionDenied, "ROLE_NOT_ALLOWED".to_owned(), None);
        assert_eq!(told(&refused), expected);
        assert!(refused.message().contains(role), "{}", refused.message());
        let call = (
            id(role, org),
            "SignalService.Lookup".to_owned(),
            "ROLE_NOT_ALLOWED".to_owned(),
            String::new(),
        );
        assert_eq!(record::refused(&record::since(&stage, before)), [call]);
    }
}

#[tokio::test]
async fn only_operators_attach() {
    let stage = Stage::sandbox().await;
    for (role, org) in [("bank", "first-bank"), ("authority", "telecom-regulator")] {
        let caller = Caller::party(&stage, org);
        let before = record::size(&stage);
        let refused = attach(&caller).await;
        assert_eq!(told(&refused).1, "ROLE_NOT_ALLOWED", "{refused:?}");
        let call = (
            id(role, org),
            "AdapterService.Attach".to_owned(),
            "ROLE_NOT_ALLOWED".to_owned(),
            String::new(),
        );
        assert_eq!(record::refused(&record::since(&stage, before)), [call]);
    }
}

#[tokio::test]
async fn a_party_that_is_not_registered_may_do_nothing() {
    let stage = Stage::sandbox().await;
    let pki = stage.files.pki().unwrap();
    for (role, org) in [
        ("bank", "third-bank"),
        ("operator", "west-mobile"),
        ("authority", "x"),
    ] {
        let leaf = pki.issue(role, org, &LeafOptions::at(now())).unwrap();
        let caller = Caller::with_leaf(&stage, &leaf);
        let mut audit = AuditServiceClient::new(caller.channel.clone());
        let mut agreement = AgreementServiceClient::new(caller.channel.clone());
        let before = record::size(&stage);
        let mut refusals = vec![
            (
                "AuditService.GetEntry",
                audit.get_entry(GetEntryRequest::default()).await.err(),
            ),
            (
                "AuditService.Tail",
                audit.tail(TailRequest::default()).await.err(),
            ),
            (
                "AuditService.GetCheckpoint",
                audit
                    .get_checkpoint(GetCheckpointRequest::default())
                    .await
                    .err(),
            ),
            (
                "AuditService.ProveInclusion",
                audit
                    .prove_inclusion(ProveInclusionRequest::default())
                    .await
                    .err(),
            ),
            (
                "AgreementService.GetAgreement",
                agreement.get_agreement(GetAgreementRequest {}).await.err(),
            ),
        ];
        match role {
            "bank" => {
                let asked = caller.ask(&stage, question(&north(1))).await;
                refusals.push(("SignalService.Lookup", asked.err()));
            }
            "operator" => refusals.push(("AdapterService.Attach", Some(attach(&caller).await))),
            _ => {}
        }
        let recorded = record::refused(&record::since(&stage, before));
        assert_eq!(recorded.len(), refusals.len(), "{recorded:?}");
        for ((method, refused), recorded) in refusals.into_iter().zip(recorded) {
            let refused = refused.unwrap_or_else(|| panic!("{role} {method}"));
            assert_eq!(told(&refused).1, "PARTY_UNKNOWN", "{role} {method}");
            let expected = (
                id(role, org),
                method.to_owned(),
                "PARTY_UNKNOWN".to_owned(),
                String::new(),
            );
            assert_eq!(recorded, expected);
        }
    }
}
