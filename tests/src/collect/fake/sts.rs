//! STS, as far as a collector asks it: roles of any account, and whose credentials are.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// Which roles may be assumed, and how.
pub struct Roles {
    /// External ids that roles of an account ask for. An account with an empty one lets nobody in.
    pub external_ids: BTreeMap<String, String>,
    /// How long credentials last.
    pub life: Duration,
    /// How often some were given out.
    pub given: u64,
}

impl Default for Roles {
    fn default() -> Roles {
        Roles { external_ids: BTreeMap::new(), life: Duration::from_secs(3600), given: 0 }
    }
}

/// How the keys of temporary credentials begin. The account follows, and when they end, in seconds since 1970.
const KEY: &str = "ASIAROLE";

/// The only token of a web identity that is accepted.
pub const TOKEN: &str = "token-of-a-pod";

/// An access key of this account that ends then.
pub fn key(account: &str, end: Timestamp) -> String {
    format!("{KEY}{account}{}", end.as_second())
}

/// The account of an access key of [`key`] that has not ended.
pub fn account(key: &str) -> Option<String> {
    let (account, end) = key.strip_prefix(KEY)?.split_at_checked(12)?;
    let end = Timestamp::from_second(end.parse().ok()?).ok()?;
    (Timestamp::now() < end).then(|| account.to_owned())
}

/// Status and XML of an answer; `own` is the account of who asks.
pub fn answer(roles: &mut Roles, own: Option<&str>, form: &str) -> (u16, String) {
    let fields: BTreeMap<String, String> = form
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (name.into(), decoded(value)))
        .collect();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let action = field("Action");
    let role = field("RoleArn");
    let account = role.split(':').nth(4).unwrap_or_default();
    match (action, own) {
        ("AssumeRoleWithWebIdentity", _) if field("WebIdentityToken") != TOKEN => {
            return error("InvalidIdentityToken", "No OpenIDConnect provider found in your account");
        }
        ("AssumeRoleWithWebIdentity", _) => {}
        (_, None) => return error("InvalidClientTokenId", "The security token included in the request is invalid."),
        ("GetCallerIdentity", Some(account)) => {
            let inner = format!(
                "<Arn>arn:aws:sts::{account}:assumed-role/rayline/rayline</Arn><UserId>AROA</UserId><Account>{account}</Account>"
            );
            return (200, wrapped(action, &inner));
        }
        ("AssumeRole", Some(_)) => {
            let wanted = roles.external_ids.get(account);
            if wanted.is_some_and(|wanted| wanted.is_empty() || wanted != field("ExternalId")) {
                return error("AccessDenied", &format!("not authorized to perform sts:AssumeRole on resource: {role}"));
            }
        }
        (other, _) => return error("InvalidAction", other),
    }
    roles.given += 1;
    // In whole seconds, as the key has it.
    let end = Timestamp::from_second((Timestamp::now() + roles.life).as_second()).expect("a time");
    let key = key(account, end);
    let inner = format!(
        "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>{end}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA:rayline</AssumedRoleId><Arn>{role}</Arn></AssumedRoleUser>"
    );
    (200, wrapped(action, &inner))
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
