//! The grant of accounts: which, with which role, and where.

use std::path::PathBuf;

use expect_test::expect;
use rayline::pipeline::{Account, Endpoints, Grant, XrayGrant};

use super::world::World;
use super::{Case, Mend, check, valid_but, validate};

/// `VALID` with a source that is granted these accounts.
fn granted(xray: &str) -> String {
    let source = format!("plugin = \"./traces.wasm\"\ngrants.xray = {xray}");
    valid_but("plugin = \"queue-source\"\ngrants.queue = \"file:inbox.queue\"", &source)
}

fn read(xray: &str) -> XrayGrant {
    let pipeline = validate(&granted(xray), &World::new()).unwrap();
    let Grant::Xray(grant) = &pipeline.stages[0].grants["xray"] else { panic!("accounts") };
    grant.clone()
}

#[test]
fn every_form() {
    assert_eq!(read(r#""file:recorded""#), XrayGrant::Folder(PathBuf::from("pipelines/recorded")));
    for at_hand in ["{}", "{ accounts = [{}] }"] {
        let XrayGrant::Accounts(grant) = read(at_hand) else { panic!("accounts") };
        assert_eq!((grant.accounts, grant.endpoints), (vec![Account::default()], Endpoints::default()));
    }
    let grant = read(
        r#"{ endpoint_urls = { xray = "https://xray.{region}.example.com" }, accounts = [
            { id = "111122223333", regions = ["eu-west-1", "us-gov-east-1"] },
            { role_arn = "arn:aws:iam::444455556666:role/path/rayline", external_id = "acme", regions = ["eu-west-1"] },
        ] }"#,
    );
    let XrayGrant::Accounts(grant) = grant else { panic!("accounts") };
    let text = |text: &str| Some(text.to_owned());
    let accounts = [
        Account {
            id: text("111122223333"),
            regions: vec!["eu-west-1".to_owned(), "us-gov-east-1".to_owned()],
            ..Account::default()
        },
        Account {
            id: text("444455556666"),
            role_arn: text("arn:aws:iam::444455556666:role/path/rayline"),
            external_id: text("acme"),
            regions: vec!["eu-west-1".to_owned()],
        },
    ];
    assert_eq!(grant.accounts, accounts);
    let xray = text("https://xray.{region}.example.com");
    assert_eq!(grant.endpoints, Endpoints { xray, ..Endpoints::default() });
}

#[test]
fn a_wrong_form() {
    let cases = [
        ("3", Mend::Edit, expect![[""]]),
        (
            r#""arn:aws:iam::111122223333:role/rayline""#,
            Mend::Replace(r#""arn:aws:iam::111122223333:role/rayline""#, "{}"),
            expect![[""]],
        ),
        (r#""recorded""#, Mend::Edit, expect![[""]]),
        ("{ account = [] }", Mend::Replace("account = []", ""), expect![[""]]),
        ("{ accounts = [] }", Mend::Edit, expect![[""]]),
        (r#"{ accounts = "111122223333" }"#, Mend::Edit, expect![[""]]),
        (r#"{ accounts = ["111122223333"] }"#, Mend::Edit, expect![[""]]),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}

#[test]
fn wrong_accounts() {
    let cases = [
        (r#"{ accounts = [{ id = "1111-2222-3333", regions = ["eu-west-1"] }] }"#, Mend::Edit, expect![[""]]),
        ("{ accounts = [{ id = 111122223333 }] }", Mend::Edit, expect![[""]]),
        (r#"{ accounts = [{ role_arn = "rayline" }] }"#, Mend::Edit, expect![[""]]),
        (
            r#"{ accounts = [{ id = "444455556666", role_arn = "arn:aws:iam::444455556666:user/rayline" }] }"#,
            Mend::Edit,
            expect![[""]],
        ),
        (
            r#"{ accounts = [{ id = "444455556666", role_arn = "arn:aws:iam::111122223333:role/rayline" }] }"#,
            Mend::Edit,
            expect![[""]],
        ),
        (r#"{ accounts = [{ id = "444455556666", external_id = "acme" }] }"#, Mend::Edit, expect![[""]]),
        (r#"{ accounts = [{ id = "444455556666", role = "x" }] }"#, Mend::Edit, expect![[""]]),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}

#[test]
fn wrong_regions() {
    let cases = [
        (r#"{ accounts = [{ id = "111122223333", regions = [] }] }"#, Mend::Edit, expect![[""]]),
        (r#"{ accounts = [{ id = "111122223333", regions = "eu-west-1" }] }"#, Mend::Edit, expect![[""]]),
        (
            r#"{ accounts = [{ id = "111122223333", regions = ["EU-West-1", "frankfurt"] }] }"#,
            Mend::Edit,
            expect![[""]],
        ),
        (
            r#"{ accounts = [{ id = "111122223333", regions = ["eu-west-1", "eu-west-2", "eu-west-1"] }] }"#,
            Mend::Replace(r#", "eu-west-1"] }"#, "] }"),
            expect![[""]],
        ),
        (
            r#"{ accounts = [{ id = "111122223333", regions = ["eu-west-1"] }, { role_arn = "arn:aws:iam::111122223333:role/other", regions = ["eu-west-1"] }] }"#,
            Mend::Replace(r#"role/other", regions = ["eu-west-1"]"#, r#"role/other", regions = ["eu-west-2"]"#),
            expect![[""]],
        ),
        (r#"{ accounts = [{ id = "111122223333" }, { id = "111122223333" }] }"#, Mend::Edit, expect![[""]]),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}

#[test]
fn wrong_servers() {
    let cases = [
        (r#"{ endpoint_urls = "https://xray.example.com" }"#, Mend::Edit, expect![[""]]),
        (r#"{ endpoint_urls = { xray = "xray.example.com" } }"#, Mend::Edit, expect![[""]]),
        (r#"{ endpoint_urls = { states = "https://states.example.com" } }"#, Mend::Edit, expect![[""]]),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}
