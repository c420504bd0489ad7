//! STS, as far as a collector asks it: roles of any account, and whose credentials are.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which roles may be assumed, and how.
#[derive(Default)]
pub struct Roles {
    /// External ids that roles of an account ask for. An account with an empty one lets nobody in.
    pub external_ids: BTreeMap<String, String>,
}

/// How credentials of a role begin. The account follows.
const KEY: &str = "ASIAROLE";

/// How long they last.
const LIFE_SECS: i64 = 3600;

/// The account of credentials that were given out here.
pub fn account(key: &str) -> Option<String> {
    key.strip_prefix(KEY).map(str::to_owned)
}

/// Status and XML of an answer; `own` is the account of who asks.
pub fn answer(roles: &Roles, own: Option<&str>, form: &str) -> (u16, String) {
    let fields: BTreeMap<String, String> = form
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (name.into(), decoded(value)))
        .collect();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    match (field("Action"), own) {
        (_, None) => error("InvalidClientTokenId", "The security token included in the request is invalid."),
        ("GetCallerIdentity", Some(account)) => {
            let inner = format!(
                "<Arn>arn:aws:sts::{account}:assumed-role/rayline/rayline</Arn><UserId>AROA</UserId><Account>{account}</Account>"
            );
            (200, wrapped("GetCallerIdentity", &inner))
        }
        ("AssumeRole", Some(_)) => {
            let role = field("RoleArn");
            let account = role.split(':').nth(4).unwrap_or_default();
            let wanted = roles.external_ids.get(account);
            if wanted.is_some_and(|wanted| wanted.is_empty() || wanted != field("ExternalId")) {
                return error("AccessDenied", &format!("not authorized to perform sts:AssumeRole on resource: {role}"));
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
            let end = jiff::Timestamp::from_second(now + LIFE_SECS).expect("a time");
            let inner = format!(
                "<Credentials><AccessKeyId>{KEY}{account}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
                 <SessionToken>token</SessionToken><Expiration>{end}</Expiration></Credentials>\
                 <AssumedRoleUser><AssumedRoleId>AROA:rayline</AssumedRoleId><Arn>{role}</Arn></AssumedRoleUser>"
            );
            (200, wrapped("AssumeRole", &inner))
        }
        (other, _) => error("InvalidAction", other),
    }
}

fn wrapped(action: &str, inner: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{inner}</{action}Result>\
         <ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata></{action}Response>"
    )
}

fn error(code: &str, message: &str) -> (u16, String) {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>"
    );
    (403, body)
}

/// Of a form's value.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).expect("two digits")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}
