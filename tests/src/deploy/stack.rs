//! A template with its parameters, as CloudFormation understands it: as far as ours go.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::files::documents;

pub const REGION: &str = "eu-west-1";
pub const LOG_ACCOUNT: &str = "111122223333";
pub const MEMBER: &str = "444455556666";
pub const BUCKET: &str = "acme-xray-archive";
pub const ORGANIZATION: &str = "o-a1b2c3d4e5";

/// A template in an account and region.
pub struct Stack {
    template: Value,
    /// Parameters, and what CloudFormation knows by itself.
    values: BTreeMap<String, String>,
}

impl Stack {
    /// Of a template of `deploy/`, with what the tests say for its parameters, these first.
    pub fn new(template: &str, region: &str, parameters: &[(&str, &str)]) -> Stack {
        let account = if template == "member-account.yaml" { MEMBER } else { LOG_ACCOUNT };
        let template = documents(template).pop().expect("a template");
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for (name, parameter) in entries(&template["Parameters"]) {
            let ours = PARAMETERS.iter().find(|(known, _)| known == name).map(|(_, value)| (*value).to_owned());
            let given = parameters.iter().find(|(known, _)| known == name).map(|(_, value)| (*value).to_owned());
            let value = given.or(ours).or_else(|| parameter.get("Default").map(text));
            values.insert(name.clone(), value.unwrap_or_else(|| panic!("the tests have no value for {name}")));
        }
        let known = [
            ("AWS::AccountId", account),
            ("AWS::Region", region),
            ("AWS::Partition", "aws"),
            ("AWS::URLSuffix", "amazonaws.com"),
            ("AWS::NoValue", ""),
        ];
        values.extend(known.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Stack { template, values }
    }

    /// Names and resources, those whose condition holds.
    pub fn resources(&self) -> BTreeMap<String, Value> {
        let resources = entries(&self.template["Resources"]).filter(|(_, resource)| self.is_made(resource));
        resources.map(|(name, resource)| (name.clone(), self.resolve(resource))).collect()
    }

    /// The properties of a resource that is made.
    pub fn properties(&self, name: &str) -> Value {
        let resource = &self.template["Resources"][name];
        assert!(resource.is_object() && self.is_made(resource), "there is no {name}");
        self.resolve(&resource["Properties"])
    }

    /// Whether a resource's type is this one.
    pub fn is_a(&self, name: &str, kind: &str) -> bool {
        self.template["Resources"][name]["Type"] == kind
    }

    fn is_made(&self, resource: &Value) -> bool {
        resource["Condition"].as_str().is_none_or(|condition| self.holds(condition))
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.template["Conditions"][condition])
    }

    fn is_true(&self, condition: &Value) -> bool {
        let (function, argument) = only(condition).unwrap_or_else(|| panic!("no condition: {condition}"));
        match (function, argument) {
            ("Condition", Value::String(name)) => self.holds(name),
            ("Fn::Not", Value::Array(of)) => !self.is_true(&of[0]),
            ("Fn::And", Value::Array(of)) => of.iter().all(|one| self.is_true(one)),
            ("Fn::Equals", Value::Array(of)) => self.resolve(&of[0]) == self.resolve(&of[1]),
            _ => panic!("the tests do not know this condition: {condition}"),
        }
    }

    /// A value without functions.
    fn resolve(&self, value: &Value) -> Value {
        if let Some((function, argument)) = only(value)
            && (function == "Ref" || function.starts_with("Fn::"))
        {
            return self.call(function, argument);
        }
        match value {
            Value::Array(items) => {
                let items = items.iter().filter(|item| !self.is_nothing(item));
                items.map(|item| self.resolve(item)).collect()
            }
            Value::Object(members) => {
                let members = members.iter().filter(|(_, member)| !self.is_nothing(member));
                members.map(|(name, member)| (name.clone(), self.resolve(member))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }

    /// Whether a value is left out.
    fn is_nothing(&self, value: &Value) -> bool {
        match only(value) {
            Some(("Ref", name)) => name == "AWS::NoValue",
            Some(("Fn::If", Value::Array(of))) => self.is_nothing(self.chosen(of)),
            _ => false,
        }
    }

    fn chosen<'v>(&self, of: &'v [Value]) -> &'v Value {
        let condition = of[0].as_str().expect("a condition");
        if self.holds(condition) { &of[1] } else { &of[2] }
    }

    fn call(&self, function: &str, argument: &Value) -> Value {
        match (function, argument) {
            ("Ref", Value::String(name)) => self.reference(name).into(),
            ("Fn::GetAtt", Value::Array(of)) => self.attribute(&text(&of[0]), &text(&of[1])).into(),
            ("Fn::If", Value::Array(of)) => self.resolve(self.chosen(of)),
            ("Fn::Sub", Value::String(template)) => self.filled(template, &Value::Null).into(),
            ("Fn::Sub", Value::Array(of)) => self.filled(&text(&of[0]), &of[1]).into(),
            ("Fn::Select", Value::Array(of)) => {
                let index: usize = text(&of[0]).parse().expect("a number");
                self.resolve(&of[1])[index].clone()
            }
            ("Fn::Split", Value::Array(of)) => {
                let whole = text(&self.resolve(&of[1]));
                whole.split(&text(&of[0])).map(Value::from).collect()
            }
            _ => panic!("the tests do not know {function} of {argument}"),
        }
    }

    /// A text with `${NAME}`, `${NAME.ATTRIBUTE}` and `${!kept}`.
    fn filled(&self, template: &str, own: &Value) -> String {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, from)) = rest.split_once("${") {
            let (name, after) = from.split_once('}').expect("a `}`");
            filled.push_str(before);
            match (name.strip_prefix('!'), own.get(name), name.split_once('.')) {
                (Some(kept), ..) => filled.push_str(&format!("${{{kept}}}")),
                (None, Some(value), _) => filled.push_str(&text(&self.resolve(value))),
                (None, None, Some((resource, attribute))) => filled.push_str(&self.attribute(resource, attribute)),
                (None, None, None) => filled.push_str(&self.reference(name)),
            }
            rest = after;
        }
        filled + rest
    }

    /// The value of a parameter; of a resource, its own name.
    fn reference(&self, name: &str) -> String {
        match self.values.get(name) {
            Some(value) => value.clone(),
            None if self.template["Resources"].get(name).is_some() => name.to_owned(),
            None => panic!("there is no {name}"),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str) -> String {
        let found = &self.template["Resources"][resource];
        assert!(found.is_object() && self.is_made(found), "there is no {resource}");
        if attribute != "Arn" {
            return format!("{resource}.{attribute}");
        }
        let name = |key: &str| text(&self.resolve(&found["Properties"][key]));
        let (region, account) = (self.reference("AWS::Region"), self.reference("AWS::AccountId"));
        match found["Type"].as_str().expect("a type") {
            "AWS::SQS::Queue" => format!("arn:aws:sqs:{region}:{account}:{}", name("QueueName")),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{}", name("BucketName")),
            "AWS::KMS::Key" => format!("arn:aws:kms:{region}:{account}:key/{resource}"),
            "AWS::Events::EventBus" => format!("arn:aws:events:{region}:{account}:event-bus/{}", name("Name")),
            "AWS::Events::Rule" => format!("arn:aws:events:{region}:{account}:rule/{}", name("Name")),
            "AWS::IAM::Role" => format!("arn:aws:iam::{account}:role/{resource}"),
            other => panic!("the tests do not know the ARN of {other}"),
        }
    }
}

/// What the tests say where a template asks.
const PARAMETERS: [(&str, &str); 17] = [
    ("OrganizationId", ORGANIZATION),
    ("BucketName", BUCKET),
    ("SearchDomainArn", "arn:aws:es:eu-west-1:111122223333:domain/logs"),
    ("CollectForMembers", "true"),
    ("HomeRegion", REGION),
    ("InboxArn", "arn:aws:sqs:eu-west-1:111122223333:xray-inbox"),
    ("KeyArn", "arn:aws:kms:eu-west-1:111122223333:key/Key"),
    ("Image", "111122223333.dkr.ecr.eu-west-1.amazonaws.com/rayline:0.1.0"),
    ("RepositoryArn", "arn:aws:ecr:*:111122223333:repository/rayline"),
    ("Cluster", "main"),
    ("Subnets", "subnet-1"),
    ("SecurityGroups", "sg-1"),
    ("TaskRoleArn", "arn:aws:iam::111122223333:role/rayline-central"),
    ("QueueUrl", "https://sqs.eu-west-1.amazonaws.com/111122223333/xray-inbox"),
    ("SearchUrl", "https://search-logs.eu-west-1.es.amazonaws.com"),
    ("EventsUrl", "https://sqs.eu-west-1.amazonaws.com/444455556666/xray-events"),
    ("AlarmTopicArn", "arn:aws:sns:eu-west-1:111122223333:rayline"),
];

/// The members of an object; none where there is no object.
pub fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A list, or the one that stands for it.
pub fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// A text, or a number or boolean as one: to CloudFormation they are the same.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        other => panic!("no text: {other}"),
    }
}

/// The one member of an object that has no other.
fn only(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.iter().next().map(|(name, member)| (name.as_str(), member))
}
