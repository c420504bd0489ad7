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
        (
            "3",
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray: found an integer, wanted a table, which may have `accounts`, or the address of a folder
               ╭─[pipelines/my.toml:6:15]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = 3
               ·               ─
             7 │ 
               ╰────
              help: write `{ accounts = [{ id = "111122223333", regions = ["eu-west-1"] }] }`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#""arn:aws:iam::111122223333:role/rayline""#,
            Mend::Replace(r#""arn:aws:iam::111122223333:role/rayline""#, "{}"),
            expect![[r#"
                  × sources.inbox.grants.xray: "arn:aws:iam::111122223333:role/rayline" is no address of recorded traces; this version supports `file:`, and a table with `accounts`
                   ╭─[pipelines/my.toml:6:15]
                 5 │ plugin = "./traces.wasm"
                 6 │ grants.xray = "arn:aws:iam::111122223333:role/rayline"
                   ·               ────────────────────────────────────────
                 7 │ 
                   ╰────
                  help: write `{ accounts = [{ id = "111122223333", regions = ["eu-west-1"] }] }`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#""recorded""#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray: "recorded" is no address of recorded traces; this version supports `file:`, and a table with `accounts`
               ╭─[pipelines/my.toml:6:15]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = "recorded"
               ·               ──────────
             7 │ 
               ╰────
              help: write `"file:recorded"`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            "{ account = [] }",
            Mend::Replace("account = []", ""),
            expect![[r#"
              × sources.inbox.grants.xray.account: unknown key
               ╭─[pipelines/my.toml:6:17]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { account = [] }
               ·                 ───────
             7 │ 
               ╰────
              help: write `accounts`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            "{ accounts = [] }",
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts: no account is named
               ╭─[pipelines/my.toml:6:28]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [] }
               ·                            ──
             7 │ 
               ╰────
              help: write `[{ id = "111122223333", regions = ["eu-west-1"] }]`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ accounts = "111122223333" }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts: found a string, wanted a list of tables
               ╭─[pipelines/my.toml:6:28]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = "111122223333" }
               ·                            ──────────────
             7 │ 
               ╰────
              help: write `[{ id = "111122223333", regions = ["eu-west-1"] }]`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ accounts = ["111122223333"] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0]: found a string, wanted a table
               ╭─[pipelines/my.toml:6:29]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = ["111122223333"] }
               ·                             ──────────────
             7 │ 
               ╰────
              help: write `{ id = "111122223333" }`

            pipelines/my.toml: 1 error
        "#]],
        ),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}

#[test]
fn wrong_accounts() {
    let cases = [
        (
            r#"{ accounts = [{ id = "1111-2222-3333", regions = ["eu-west-1"] }] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0].id: "1111-2222-3333" is no account id: it has 12 digits
               ╭─[pipelines/my.toml:6:36]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ id = "1111-2222-3333", regions = ["eu-west-1"] }] }
               ·                                    ────────────────
             7 │ 
               ╰────
              help: write `"111122223333"`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            "{ accounts = [{ id = 111122223333 }] }",
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0].id: found an integer, wanted a string
               ╭─[pipelines/my.toml:6:36]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ id = 111122223333 }] }
               ·                                    ────────────
             7 │ 
               ╰────
              help: write `"111122223333"`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ accounts = [{ role_arn = "rayline" }] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0].role_arn: "rayline" is no ARN of a role
               ╭─[pipelines/my.toml:6:42]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ role_arn = "rayline" }] }
               ·                                          ─────────
             7 │ 
               ╰────
              help: write `"arn:aws:iam::111122223333:role/rayline"`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ accounts = [{ id = "444455556666", role_arn = "arn:aws:iam::444455556666:user/rayline" }] }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.xray.accounts[0].role_arn: "arn:aws:iam::444455556666:user/rayline" is no ARN of a role
                   ╭─[pipelines/my.toml:6:63]
                 5 │ plugin = "./traces.wasm"
                 6 │ grants.xray = { accounts = [{ id = "444455556666", role_arn = "arn:aws:iam::444455556666:user/rayline" }] }
                   ·                                                               ────────────────────────────────────────
                 7 │ 
                   ╰────
                  help: write `"arn:aws:iam::444455556666:role/rayline"`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ accounts = [{ id = "444455556666", role_arn = "arn:aws:iam::111122223333:role/rayline" }] }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.xray.accounts[0].role_arn: "arn:aws:iam::111122223333:role/rayline" is a role of another account than `id` says
                   ╭─[pipelines/my.toml:6:63]
                 5 │ plugin = "./traces.wasm"
                 6 │ grants.xray = { accounts = [{ id = "444455556666", role_arn = "arn:aws:iam::111122223333:role/rayline" }] }
                   ·                                                               ────────────────────────────────────────
                 7 │ 
                   ╰────
                  help: write `"arn:aws:iam::444455556666:role/rayline"`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ accounts = [{ id = "444455556666", external_id = "acme" }] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0].external_id: only where a role is assumed is there an `external_id`, and `role_arn` is not there
               ╭─[pipelines/my.toml:6:52]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ id = "444455556666", external_id = "acme" }] }
               ·                                                    ───────────
             7 │ 
               ╰────
              help: remove it

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ accounts = [{ id = "444455556666", role = "x" }] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0].role: unknown key
               ╭─[pipelines/my.toml:6:52]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ id = "444455556666", role = "x" }] }
               ·                                                    ────
             7 │ 
               ╰────
              help: remove it; known here: `id`, `role_arn`, `external_id`, `regions`

            pipelines/my.toml: 1 error
        "#]],
        ),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}

#[test]
fn wrong_regions() {
    let cases = [
        (
            r#"{ accounts = [{ id = "111122223333", regions = [] }] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0].regions: no region is named
               ╭─[pipelines/my.toml:6:62]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ id = "111122223333", regions = [] }] }
               ·                                                              ──
             7 │ 
               ╰────
              help: write `["eu-west-1"]`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ accounts = [{ id = "111122223333", regions = "eu-west-1" }] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[0].regions: found a string, wanted a list of strings
               ╭─[pipelines/my.toml:6:62]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ id = "111122223333", regions = "eu-west-1" }] }
               ·                                                              ───────────
             7 │ 
               ╰────
              help: write `["eu-west-1"]`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ accounts = [{ id = "111122223333", regions = ["EU-West-1"] }] }"#,
            Mend::Edit,
            expect![[r#"
                  × sources.inbox.grants.xray.accounts[0].regions[0]: "EU-West-1" is no region
                   ╭─[pipelines/my.toml:6:63]
                 5 │ plugin = "./traces.wasm"
                 6 │ grants.xray = { accounts = [{ id = "111122223333", regions = ["EU-West-1"] }] }
                   ·                                                               ───────────
                 7 │ 
                   ╰────
                  help: write `"eu-west-1"`

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ accounts = [{ id = "111122223333", regions = ["eu-west-1", "eu-west-2", "eu-west-1"] }] }"#,
            Mend::Replace(r#", "eu-west-1"] }"#, "] }"),
            expect![[r#"
                  × sources.inbox.grants.xray.accounts[0].regions[2]: "eu-west-1" of the account 111122223333 is named twice
                   ╭─[pipelines/my.toml:6:89]
                 5 │ plugin = "./traces.wasm"
                 6 │ grants.xray = { accounts = [{ id = "111122223333", regions = ["eu-west-1", "eu-west-2", "eu-west-1"] }] }
                   ·                                                                                         ───────────
                 7 │ 
                   ╰────
                  help: name each account and region once

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ accounts = [{ id = "111122223333", regions = ["eu-west-1"] }, { role_arn = "arn:aws:iam::111122223333:role/other", regions = ["eu-west-1"] }] }"#,
            Mend::Replace(r#"role/other", regions = ["eu-west-1"]"#, r#"role/other", regions = ["eu-west-2"]"#),
            expect![[r#"
                  × sources.inbox.grants.xray.accounts[1].regions[0]: "eu-west-1" of the account 111122223333 is named twice
                   ╭─[pipelines/my.toml:6:143]
                 5 │ plugin = "./traces.wasm"
                 6 │ grants.xray = { accounts = [{ id = "111122223333", regions = ["eu-west-1"] }, { role_arn = "arn:aws:iam::111122223333:role/other", regions = ["eu-west-1"] }] }
                   ·                                                                                                                                               ───────────
                 7 │ 
                   ╰────
                  help: name each account and region once

                pipelines/my.toml: 1 error
            "#]],
        ),
        (
            r#"{ accounts = [{ id = "111122223333" }, { id = "111122223333" }] }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.accounts[1]: an account before this one is the same, in the same region
               ╭─[pipelines/my.toml:6:54]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { accounts = [{ id = "111122223333" }, { id = "111122223333" }] }
               ·                                                      ───────────────────────
             7 │ 
               ╰────
              help: add `regions = ["eu-west-1"]`

            pipelines/my.toml: 1 error
        "#]],
        ),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}

#[test]
fn wrong_servers() {
    let cases = [
        (
            r#"{ endpoint_urls = "https://xray.example.com" }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.endpoint_urls: found a string, wanted a table
               ╭─[pipelines/my.toml:6:33]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { endpoint_urls = "https://xray.example.com" }
               ·                                 ──────────────────────────
             7 │ 
               ╰────
              help: write `{ xray = "https://xray.example.com" }`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ endpoint_urls = { xray = "xray.example.com" } }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.endpoint_urls.xray: "xray.example.com" is no address of a server; it begins with `https://` or `http://`
               ╭─[pipelines/my.toml:6:42]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { endpoint_urls = { xray = "xray.example.com" } }
               ·                                          ──────────────────
             7 │ 
               ╰────
              help: write `"https://xray.example.com"`

            pipelines/my.toml: 1 error
        "#]],
        ),
        (
            r#"{ endpoint_urls = { states = "https://states.example.com" } }"#,
            Mend::Edit,
            expect![[r#"
              × sources.inbox.grants.xray.endpoint_urls.states: unknown key
               ╭─[pipelines/my.toml:6:35]
             5 │ plugin = "./traces.wasm"
             6 │ grants.xray = { endpoint_urls = { states = "https://states.example.com" } }
               ·                                   ──────
             7 │ 
               ╰────
              help: remove it; known here: `xray`, `sfn`, `sts`

            pipelines/my.toml: 1 error
        "#]],
        ),
    ];
    check(cases.map(|(grant, mend, expected)| Case { file: granted(grant), mend, expected }));
}
