//! What a client may have: what its registration, its bank's licence and the agreement do not allow
//! is refused before anybody could ask with it; and what is taken away later ends tokens that are out.

use accord_tests::world::{WorldSpec, wait_until};
use tonic::Code;

use crate::{
    grpc, record,
    rig::{CLIENT, FIRST_BANK, NUMBER, PURPOSE, Rig, SCOPE},
};

#[tokio::test]
async fn a_scope_states_one_purpose_of_the_registration_and_what_the_agreement_allows() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    for (scope, reason, words) in [
        ("sim-swap:check".to_owned(), "SCOPE_MALFORMED", "no purpose"),
        (
            format!("{PURPOSE} dpv:Other sim-swap"),
            "SCOPE_MALFORMED",
            "more than one purpose",
        ),
        (PURPOSE.to_owned(), "SCOPE_MALFORMED", "nothing to call"),
        (String::new(), "SCOPE_MALFORMED", "no purpose"),
        (
            format!("{PURPOSE} sim-swap everything"),
            "SCOPE_MALFORMED",
            "no scope of this door",
        ),
        (
            "dpv:Marketing sim-swap".to_owned(),
            "PURPOSE_NOT_REGISTERED",
            PURPOSE,
        ),
        (
            format!("{PURPOSE} sim-swap kyc-tenure:check-tenure"),
            "SCOPE_NOT_REGISTERED",
            "`kyc-tenure:check-tenure`",
        ),
    ] {
        let since = record::size(&rig);
        let told = rig.ask(&bank, &rig.sign(&rig.claims()), &scope).await;
        assert_eq!(told.error(), (400, "invalid_scope"), "{scope}");
        assert!(
            told.description().contains(words),
            "{scope}: {:?}",
            told.body
        );
        let expected = [FIRST_BANK, "OAuth.Token", reason, "scope"].map(str::to_owned);
        assert_eq!(record::refused(&rig, since), [expected], "{scope}");
    }
    // `openid` is passed over, and a wildcard covers what it stands for.
    let scope = format!("openid {PURPOSE} sim-swap:retrieve-date");
    let told = rig.ask(&bank, &rig.sign(&rig.claims()), &scope).await;
    assert_eq!(
        told.body["scope"],
        format!("{PURPOSE} sim-swap:retrieve-date")
    );
}

#[tokio::test]
async fn what_the_agreement_does_not_allow_is_refused_with_what_it_allows_instead() {
    let rig = Rig::new().await;
    let bank = rig.caller(Some("second-bank"));
    let sign = || {
        let mut claims = rig.claims();
        for claim in ["iss", "sub"] {
            claims[claim] = "second-app".into();
        }
        rig.sign_as("second-bank", Some("second-bank-1"), &claims)
    };
    let allowed = format!("{PURPOSE} number-recycling:check");
    rig.ask(&bank, &sign(), &allowed).await.token();
    for beyond in ["sim-swap", "number-recycling:check sim-swap:check"] {
        let since = record::size(&rig);
        let told = rig
            .ask(&bank, &sign(), &format!("{PURPOSE} {beyond}"))
            .await;
        assert_eq!(told.error(), (400, "invalid_scope"));
        let words = told.description();
        for part in [
            "sim-swap",
            "dormant_account",
            "clause 4.2 allows number_recycling",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert_eq!(record::refused(&rig, since)[0][2], "SCOPE_NOT_IN_AGREEMENT");
    }
}

#[tokio::test]
async fn what_every_clause_is_too_coarse_for_is_refused_and_what_one_suits_is_not() {
    let rig = Rig::new().await;
    let bank = rig.bank();
    // Clause 2.1 answers yes or no before a login.
    let login = "dpv:IdentityVerification";
    for beyond in [
        "sim-swap:retrieve-date",
        "sim-swap:check sim-swap:retrieve-age-band",
    ] {
        let since = record::size(&rig);
        let scope = format!("{login} {beyond}");
        let told = rig.ask(&bank, &rig.sign(&rig.claims()), &scope).await;
        assert_eq!(told.error(), (400, "invalid_scope"), "{beyond}");
        let words = told.description();
        for part in [
            "retrieve",
            "login",
            "clause 2.1 grants sim_swap as 'yes_no'",
        ] {
            let quoted = words.replace('`', "'");
            assert!(quoted.contains(part), "{part}: {words}");
        }
        assert_eq!(record::refused(&rig, since)[0][2], "SCOPE_NOT_IN_AGREEMENT");
    }
    // A wildcard is granted for the one of its operations that is answered; and what bands answer is.
    for allowed in [
        format!("{login} sim-swap"),
        format!("{login} sim-swap:check"),
        format!("{PURPOSE} sim-swap:retrieve-date sim-swap:retrieve-age-band"),
    ] {
        let told = rig.ask(&bank, &rig.sign(&rig.claims()), &allowed).await;
        told.token();
    }
}

#[tokio::test]
async fn what_an_authority_suspended_is_refused_where_nobody_else_answers() {
    let rig = Rig::new().await;
    let ask = async |bank: &'static str, client: &str, kid: &str, scope: &str| {
        let mut claims = rig.claims();
        for claim in ["iss", "sub"] {
            claims[claim] = client.into();
        }
        let assertion = rig.sign_as(bank, Some(kid), &claims);
        let scope = format!("{PURPOSE} {scope}");
        rig.ask(&rig.caller(Some(bank)), &assertion, &scope).await
    };
    let recycling = async || {
        ask(
            "second-bank",
            "second-app",
            "second-bank-1",
            "number-recycling:check",
        )
        .await
    };
    let swaps = async || ask("first-bank", CLIENT, "first-bank-1", "sim-swap:check").await;
    swaps().await.token();
    rig.suspend("signal:sim_swap").await;
    wait_until("the suspension", || async { swaps().await.status == 400 })
        .await
        .unwrap();
    assert!(
        swaps()
            .await
            .description()
            .contains("sim_swap is suspended by")
    );
    recycling().await.token();
    rig.suspend("operator:north-mobile").await;
    wait_until("the suspension", || async {
        recycling().await.status == 400
    })
    .await
    .unwrap();
    let told = recycling().await;
    assert_eq!(told.error(), (400, "invalid_scope"));
    let words = told.description();
    assert!(
        words.contains("north-mobile: this operator is suspended by"),
        "{words}"
    );
    // It never says why, which is between authority and operator.
    assert!(!words.contains("drill"), "{words}");
}

#[tokio::test]
async fn a_suspended_bank_gets_no_token_and_the_one_it_has_opens_nothing() {
    let rig = Rig::new().await;
    let token = rig.token().await;
    let channel = grpc::channel(&rig, "first-bank");
    grpc::ask(&channel, &token, NUMBER).await.unwrap();
    rig.suspend("bank:first-bank").await;
    wait_until("the suspension", || async {
        let refused = grpc::ask(&channel, &token, NUMBER).await.err();
        refused.is_some_and(|refused| grpc::reason(&refused) == "SUSPENDED")
    })
    .await
    .unwrap();
    let told = rig.ask(&rig.bank(), &rig.sign(&rig.claims()), SCOPE).await;
    assert_eq!(
        told.error(),
        (400, "unauthorized_client"),
        "{:?}",
        told.body
    );
    assert!(told.description().contains("suspended"), "{:?}", told.body);
}

#[tokio::test]
async fn a_bank_has_its_rate_and_is_told_when_to_come_back() {
    let spec = WorldSpec::default().limit("bank_per_second", 1);
    let rig = Rig::of(spec, "").await;
    let bank = rig.bank();
    let mut told = rig.ask(&bank, &rig.sign(&rig.claims()), SCOPE).await;
    for _ in 0..50 {
        if told.status == 429 {
            break;
        }
        told.token();
        told = rig.ask(&bank, &rig.sign(&rig.claims()), SCOPE).await;
    }
    assert_eq!(told.error(), (429, "temporarily_unavailable"));
    assert_eq!(told.header("retry-after"), "1");
    // Another bank does not pay for it.
    let mut claims = rig.claims();
    for claim in ["iss", "sub"] {
        claims[claim] = "second-app".into();
    }
    let assertion = rig.sign_as("second-bank", Some("second-bank-1"), &claims);
    let scope = format!("{PURPOSE} number-recycling:check");
    rig.ask(&rig.caller(Some("second-bank")), &assertion, &scope)
        .await
        .token();
}

#[tokio::test]
async fn a_token_opens_what_its_scope_covers_and_nothing_beyond() {
    let rig = Rig::new().await;
    let token = rig.token().await;
    let channel = grpc::channel(&rig, "first-bank");
    grpc::ask(&channel, &token, NUMBER).await.unwrap();
    let mut beyond = grpc::question(NUMBER);
    beyond.signals = vec![grpc::roaming()];
    let refused = grpc::send(&channel, &token, beyond).await.unwrap_err();
    assert_eq!(
        (refused.code(), &*grpc::reason(&refused)),
        (Code::PermissionDenied, "SCOPE_NOT_IN_TOKEN")
    );
}
