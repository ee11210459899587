use ForwardingCondition::{Busy, NoReply, NotReachable, Unconditional};
use ForwardingTarget::{AnotherNumber, OwnVoicemail, Unknown};

use super::*;

fn rules(more: &str) -> DiversionRules {
    let config = format!(
        "service_indications = [\"MMTEL-Services\"]\ncountry_code = \"44\"\n\
         voicemail = [\"tel:121\", \"+447700900999\"]\n{more}"
    );
    let config: DiversionConfig = toml::from_str(&config).unwrap();
    config.check().unwrap()
}

fn service(text: &str) -> Element {
    Element::parse(format!("<ServiceData>{text}</ServiceData>").as_bytes()).unwrap()
}

fn diversion(inside: &str) -> Element {
    service(&format!(
        "<simservs xmlns='http://uri.etsi.org/ngn/params/xml/simservs/xcap' \
          xmlns:cp='urn:ietf:params:xml:ns:common-policy'>\
          <originating-identity-presentation active='true'/>\
          <communication-diversion active='true'><NoReplyTimer>20</NoReplyTimer>\
          <cp:ruleset>{inside}</cp:ruleset></communication-diversion></simservs>"
    ))
}

fn rule(conditions: &str, target: &str) -> String {
    format!(
        "<cp:rule id='r'><cp:conditions>{conditions}</cp:conditions><cp:actions><forward-to>\
         <target>{target}</target><notify-caller>true</notify-caller></forward-to></cp:actions></cp:rule>"
    )
}

fn read_with(
    more: &str,
    inside: &str,
) -> Result<Vec<(ForwardingCondition, ForwardingTarget)>, DiversionError> {
    let active = read(&diversion(inside), &rules(more))?;
    Ok(active.iter().map(|it| (it.condition, it.target)).collect())
}

fn one(conditions: &str) -> Result<Vec<(ForwardingCondition, ForwardingTarget)>, DiversionError> {
    read_with("", &rule(conditions, "tel:+447700900100"))
}

#[test]
fn each_condition_of_the_vocabulary_is_found_with_its_target() {
    for (conditions, condition) in [
        ("", Unconditional),
        ("<busy/>", Busy),
        ("<no-answer/>", NoReply),
        ("<not-reachable/>", NotReachable),
        ("<not-registered/>", NotReachable),
    ] {
        assert_eq!(
            one(conditions),
            Ok(vec![(condition, AnotherNumber)]),
            "{conditions}"
        );
    }
    let without = "<cp:rule id='r'><cp:actions><forward-to><target>tel:121</target></forward-to></cp:actions></cp:rule>";
    assert_eq!(
        read_with("", without),
        Ok(vec![(Unconditional, OwnVoicemail)])
    );
    let three = [
        rule("<busy/>", "tel:121"),
        rule("<no-answer/>", "+447700900999"),
        rule("<not-reachable/>", ""),
    ];
    let expected = vec![
        (Busy, OwnVoicemail),
        (NoReply, OwnVoicemail),
        (NotReachable, Unknown),
    ];
    assert_eq!(read_with("", &three.concat()), Ok(expected));
}

#[test]
fn a_deactivated_rule_is_none_whatever_else_stands_in_it() {
    for conditions in [
        "<rule-deactivated/>",
        "<busy/><rule-deactivated/>",
        "<rule-deactivated/><cp:identity><cp:one id='sip:a@b'/></cp:identity>",
        "<vendor-thing/><rule-deactivated/>",
    ] {
        assert_eq!(one(conditions), Ok(vec![]), "{conditions}");
    }
}

#[test]
fn diversion_that_is_off_forwards_nothing() {
    let text = format!(
        "<communication-diversion active='false'><ruleset>{}</ruleset></communication-diversion>",
        rule("", "tel:+447700900100").replace("cp:", "")
    );
    assert_eq!(read(&service(&text), &rules("")), Ok(vec![]));
    assert_eq!(
        read(&service(&text.replace("false", "0")), &rules("")),
        Ok(vec![])
    );
    assert_eq!(
        read(&service(&text.replace("false", "1")), &rules(""))
            .unwrap()
            .len(),
        1
    );
    assert!(read(&service(&text.replace("false", "off")), &rules("")).is_err());
}

#[test]
fn a_rule_for_some_calls_is_neither_always_nor_none() {
    for narrowing in [
        "<cp:identity><cp:one id='tel:+447700900200'/></cp:identity>",
        "<media>audio</media>",
        "<cp:validity><cp:from>2026-11-26T00:00:00Z</cp:from></cp:validity>",
        "<anonymous/>",
        "<presence-status>busy</presence-status>",
        "<busy/><no-answer/>",
    ] {
        assert_eq!(
            one(narrowing),
            Err(DiversionError::Conditional),
            "{narrowing}"
        );
        let beside_voicemail = [rule("", "tel:121"), rule(narrowing, "tel:+447700900100")].concat();
        assert_eq!(
            read_with("", &beside_voicemail),
            Err(DiversionError::Conditional)
        );
        let beside_another = [rule(narrowing, "tel:121"), rule("", "tel:+447700900100")].concat();
        assert_eq!(
            read_with("", &beside_another),
            Ok(vec![(Unconditional, AnotherNumber)])
        );
    }
    let counted = read_with(
        "conditional = \"as_condition\"",
        &[
            rule("<busy/><anonymous/>", "tel:121"),
            rule("<anonymous/>", "tel:+447700900100"),
        ]
        .concat(),
    );
    assert_eq!(
        counted,
        Ok(vec![(Busy, OwnVoicemail), (Unconditional, AnotherNumber)])
    );
}

#[test]
fn an_operator_may_say_that_audio_is_voice() {
    let with = |media: &str| {
        let conditions = format!("<busy/><media>{media}</media>");
        read_with(
            "audio_is_voice = true",
            &rule(&conditions, "tel:+447700900100"),
        )
    };
    assert_eq!(with("audio"), Ok(vec![(Busy, AnotherNumber)]));
    assert_eq!(with("video"), Ok(vec![]));
}

#[test]
fn two_kinds_of_target_for_one_condition_are_unknown() {
    let both = [
        rule("<busy/>", "tel:121"),
        rule("<busy/>", "tel:+447700900100"),
    ]
    .concat();
    assert_eq!(read_with("", &both), Ok(vec![(Busy, Unknown)]));
    let same = [
        rule("<busy/>", "tel:121"),
        rule("<busy/>", "tel:+447700900999"),
    ]
    .concat();
    assert_eq!(read_with("", &same), Ok(vec![(Busy, OwnVoicemail)]));
}

#[test]
fn an_operators_own_rules_are_not_the_users() {
    let set = |name: &str, target: &str| {
        format!(
            "<{name}><ruleset>{}</ruleset></{name}>",
            rule("", target).replace("cp:", "")
        )
    };
    let users = rule("<busy/>", "tel:121").replace("cp:", "");
    let text = format!(
        "<communication-diversion>{}<ruleset>{users}</ruleset>{}</communication-diversion>",
        set("operator-before", "tel:+447700900300"),
        set("operator-after", "tel:+447700900300"),
    );
    assert!(matches!(
        read(&service(&text), &rules("")),
        Err(NotUnderstood(_))
    ));
    let named = rules("operator_elements = [\"operator-before\", \"operator-after\"]");
    let active = read(&service(&text), &named).unwrap();
    assert_eq!(
        active,
        [Forwarding {
            condition: Busy,
            target: OwnVoicemail
        }]
    );
}

#[test]
fn a_vendors_flat_elements_are_read_by_the_names_given() {
    let more = "dialect = \"flat\"\n[flat]\nCallForwardUnconditional = \"unconditional\"\n\
        CallForwardBusy = \"busy\"\nCallForwardNoAnswer = \"no_reply\"\nCallForwardNotReachable = \"not_reachable\"";
    let read = |inside: &str| {
        let text = format!("<communication-diversion>{inside}</communication-diversion>");
        let active = read(&service(&text), &rules(more))?;
        Ok(active
            .iter()
            .map(|it| (it.condition, it.target))
            .collect::<Vec<_>>())
    };
    let active = read(
        "<ruleset><CallForwardUnconditional/>\
         <CallForwardBusy><target>+447700900100</target></CallForwardBusy>\
         <CallForwardNoAnswer>tel:121</CallForwardNoAnswer>\
         <CallForwardNotReachable><conditions><rule-deactivated/></conditions>\
         <actions><forward-to><target>tel:121</target></forward-to></actions></CallForwardNotReachable></ruleset>",
    );
    assert_eq!(
        active,
        Ok(vec![(Busy, AnotherNumber), (NoReply, OwnVoicemail)])
    );
    assert_eq!(
        read("<CallForwardBusy active='false'>121</CallForwardBusy>"),
        Ok(vec![])
    );
    assert!(matches!(
        read("<CallForwardOnFire>121</CallForwardOnFire>"),
        Err(NotUnderstood(_))
    ));
    assert!(matches!(read("<rule/>"), Err(NotUnderstood(_))));
    for empty in [
        "<CallForwardBusy/>",
        "<CallForwardBusy><NoReplyTimer>20</NoReplyTimer><conditions/></CallForwardBusy>",
    ] {
        assert_eq!(read(empty), Ok(vec![]), "{empty}");
    }
    for vague in [
        "<target><uri>tel:+447700900100</uri></target>",
        "<target>tel:121</target><target>+447700900100</target>",
        "<target/>",
        "<actions><forward-to><notify-caller>true</notify-caller></forward-to></actions>",
    ] {
        let rule = format!("<CallForwardBusy>{vague}</CallForwardBusy>");
        assert_eq!(read(&rule), Ok(vec![(Busy, Unknown)]), "{vague}");
    }
    assert!(matches!(
        read(
            "<CallForwardBusy><actions><vendor-forward>tel:121</vendor-forward></actions></CallForwardBusy>"
        ),
        Err(NotUnderstood(_))
    ));
    let narrowed = "<CallForwardBusy><conditions><identity/></conditions><target>121</target></CallForwardBusy>";
    assert_eq!(read(narrowed), Err(DiversionError::Conditional));
}

#[test]
fn what_is_not_understood_is_never_no_forwarding() {
    for inside in [
        rule("<on-full-moon/>", "tel:121"),
        "<cp:rule><cp:actions><forward-to-voicemail/></cp:actions></cp:rule>".to_owned(),
        "<cp:rule><cp:actions><forward-to/><forward-to/></cp:actions></cp:rule>".to_owned(),
        "<vendor-rule/>".to_owned(),
    ] {
        assert!(
            matches!(read_with("", &inside), Err(NotUnderstood(_))),
            "{inside}"
        );
    }
    for text in [
        "hello",
        "<vendor-services><communication-diversion/></vendor-services>",
        "<communication-diversion/><communication-diversion/>",
        "&lt;simservs",
    ] {
        assert!(
            matches!(read(&service(text), &rules("")), Err(NotUnderstood(_))),
            "{text}"
        );
    }
}

#[test]
fn no_document_is_what_the_operator_says_it_is() {
    let none = service("<simservs><communication-waiting active='true'/></simservs>");
    assert_eq!(read(&none, &rules("")), Err(DiversionError::Absent));
    let said = rules("absent_document = \"no_forwarding\"");
    assert_eq!(read(&none, &said), Ok(vec![]));
    assert_eq!(read(&service(""), &said), Ok(vec![]));
}

#[test]
fn a_document_kept_as_text_is_unpacked() {
    let rule = rule("<busy/>", "tel:121").replace("cp:", "");
    let text = format!(
        "<simservs><communication-diversion><ruleset>{rule}</ruleset></communication-diversion></simservs>"
    );
    let as_text = service(&format!("<![CDATA[{text}]]>"));
    assert_eq!(read(&as_text, &rules("")).unwrap().len(), 1);
    let escaped = service(&text.replace('<', "&lt;"));
    assert_eq!(read(&escaped, &rules("")).unwrap().len(), 1);
}

#[test]
fn each_rule_of_the_section_names_its_key() {
    for (config, key) in [
        ("service_indications = []", "forwarding.service_indications"),
        (
            "service_indications = [\"x\"]\ndialect = \"flat\"",
            "forwarding.flat",
        ),
        (
            "service_indications = [\"x\"]\n[flat]\nCfu = \"unconditional\"",
            "forwarding.flat",
        ),
        (
            "service_indications = [\"x\"]\ndialect = \"flat\"\n[flat]\nCfu = \"always\"",
            "forwarding.flat",
        ),
        (
            "service_indications = [\"x\"]\ncountry_code = \"+44\"",
            "forwarding.country_code",
        ),
        (
            "service_indications = [\"x\"]\nnational_prefix = \"+\"",
            "forwarding.national_prefix",
        ),
        (
            "service_indications = [\"x\"]\nvoicemail = [\"*\"]",
            "forwarding.voicemail",
        ),
    ] {
        let config: DiversionConfig = toml::from_str(config).unwrap();
        assert_eq!(config.check().unwrap_err().0, key);
    }
    assert!(toml::from_str::<DiversionConfig>("service_indications = []\nvoicmail = []").is_err());
}
