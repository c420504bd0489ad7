//! Values that are as they should be most of the time.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::json::Json;

pub const TRACES: [&str; 4] = [
    "1-6aad0d03-6474ec86faeb7407e62ea252",
    "6AAD0D036474ec86faeb7407e62ea252",
    "1-00000001-000000000000000000000000",
    "odd",
];

pub const ARNS: [&str; 6] = [
    "arn:aws:states:eu-west-1:111122223333:execution:Orders:order-1",
    "arn:aws:states:eu-west-1:111122223333:express:Price:quote-1:5f0f",
    "arn:aws:states:us-east-1:11112222:execution:Map/Part:x",
    "arn:aws:lambda:us-east-1:444455556666:function:charge",
    "arn:aws:s3:::bucket",
    "arn:aws:states",
];

pub fn texts() -> BoxedStrategy<Json> {
    vec(prop_oneof![4 => text(&["one", "two"]), 1 => odd()], 0..4).prop_map(Json::List).boxed()
}

/// Some of the members, in any order, a few of them odd, a few twice.
pub fn select_fields(fields: Vec<(&'static str, BoxedStrategy<Json>)>) -> impl Strategy<Value = Json> + Clone {
    let count = fields.len();
    let fields: Vec<_> = fields.into_iter().map(|(name, usual)| field(name, usual).boxed()).collect();
    let member = (0..count).prop_flat_map(move |index| fields[index].clone());
    vec(member, 0..=count.min(10)).prop_map(Json::Object).boxed()
}

pub fn field(
    name: &'static str,
    usual: impl Strategy<Value = Json> + 'static,
) -> impl Strategy<Value = (String, Json)> {
    prop_oneof![12 => usual.boxed(), 1 => odd().boxed()].prop_map(move |value| (name.to_owned(), value))
}

pub fn text(usual: &[&'static str]) -> BoxedStrategy<Json> {
    select(usual.to_vec()).prop_map(Json::text).boxed()
}

pub fn boolean() -> BoxedStrategy<Json> {
    select(vec!["true", "true", "false", "\"true\"", "\"yes\"", "1"])
        .prop_map(|text| Json::Scalar(text.to_owned()))
        .boxed()
}

/// Times, counts, and what is near them.
pub fn number() -> BoxedStrategy<Json> {
    let usual = vec![
        "1789725955",
        "1789725955.25",
        "1.789725956E9",
        "1789725957.1234565",
        "1789725955000",
        "1789720000",
        "0",
        "1",
        "2",
        "200",
        "-1",
        "0.0000005",
        "-0.0000004",
        "\"1789725955.5\"",
        "\"200\"",
        "\"861.0\"",
        "253402300799",
        "253402300800",
        "1e300",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "123456789012345678901234567890",
        "\" 1\"",
        "\"0x10\"",
        "200.0",
        "200.5",
        "\"01\"",
        "\"1e2\"",
        "\"NaN\"",
        "\"-5\"",
        "\"\"",
        "1e22",
        "\"123456789012345678901234567890\"",
        "-0",
        "-0.0",
        "\"-0\"",
        "1e400",
        "-1E+999",
        "\"1e400\"",
    ];
    select(usual).prop_map(|text| Json::Scalar(text.to_owned())).boxed()
}

pub fn key() -> impl Strategy<Value = String> {
    select(vec!["k", "l", "aws:api_id", "a.b", "", "ключ"]).prop_map(str::to_owned)
}

/// Escapes of half a surrogate pair, and what is near them.
fn half_pair() -> BoxedStrategy<Json> {
    let texts =
        [r#""a\ud83d""#, r#""\uDE00\ud83d b""#, r#""\ud83d\ud83d\ude00""#, r#""\ud83d\u0041""#, r#""\\ud83d\/""#];
    select(texts.to_vec()).prop_map(|text| Json::Scalar(text.to_owned())).boxed()
}

/// Anything.
pub fn odd() -> impl Strategy<Value = Json> + Clone {
    let scalar = prop_oneof![
        3 => Just(Json::Scalar("null".to_owned())),
        2 => boolean(),
        3 => number(),
        2 => "\\PC{0,8}".prop_map(|text| Json::text(&text)),
        1 => text(&["", "null", "true", "{}", "\u{0}", "\u{1F680}"]),
        1 => half_pair(),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Json::List), vec((key(), inner), 0..4).prop_map(Json::Object),]
    })
}
