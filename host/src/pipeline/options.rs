//! A stage's options against the JSON Schema that its plugin describes.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{JsonType, ValidationError};
use serde_json::{Map, Value as Json};

use super::diagnostic::Diagnostic;
use super::document::{Entry, Node, Report, Value, join, to_json};
use super::fields::{nearest, out_of_range, wrong_type};
use super::schema::{self, Schema};
use super::stage::Declared;

/// The options as the plugin gets them. What breaks the schema is reported, each at its option.
pub(super) fn read(declared: &Declared, schema: Option<&Json>, report: &mut Report<'_>) -> Json {
    let empty = Node { span: declared.name_span.clone(), value: Value::Table(Vec::new()) };
    let given = declared.table.entry("options");
    let node = given.map_or(&empty, |entry| &entry.node);
    let path = join(&declared.path(), "options");
    let Some(schema) = schema else {
        for entry in node.entries() {
            let diagnostic = Diagnostic::new(join(&path, &entry.key), entry.key_span.clone(), "unknown option");
            report.add(diagnostic.remove_key(report.text, node, entry, ": this plugin has no options"));
        }
        return Json::Object(Map::new());
    };
    if !matches!(node.value, Value::Table(_)) || declared.meant.contains(&"options") {
        return Json::Object(Map::new());
    }
    let root = schema::closed(schema);
    let options = typed(node, &Schema::root(&root));
    match jsonschema::validator_for(&root) {
        Ok(validator) => {
            let mut violations = Violations { declared, given, node, root: &root, path, meant: Vec::new(), report };
            // Unknown options first: an option that is missing beside one may be the one that was meant.
            let (missing, others): (Vec<_>, Vec<_>) = validator
                .iter_errors(&options)
                .partition(|error| matches!(error.kind(), ValidationErrorKind::Required { .. }));
            others.iter().chain(&missing).for_each(|error| violations.add(error));
        }
        Err(_) => {
            let diagnostic = Diagnostic::new(
                declared.path(),
                declared.name_span.clone(),
                "the plugin's own options schema is no JSON Schema",
            );
            report.add(diagnostic.help("use another build of the plugin"));
        }
    }
    options
}

/// The node as JSON; a string that is exactly one reference becomes the number or boolean that the schema wants.
fn typed(node: &Node, schema: &Schema<'_>) -> Json {
    match &node.value {
        Value::String(text) => text
            .reference()
            .and_then(|text| schema.parse_scalar(text.trim()))
            .unwrap_or_else(|| Json::String(text.value.clone())),
        Value::List(items) => items.iter().map(|item| typed(item, &schema.item())).collect(),
        Value::Table(entries) => Json::Object(
            entries.iter().map(|entry| (entry.key.clone(), typed(&entry.node, &schema.property(&entry.key)))).collect(),
        ),
        _ => to_json(node),
    }
}

/// Turns what the validator finds into diagnostics.
struct Violations<'a, 'r, 't> {
    declared: &'a Declared,
    given: Option<&'a Entry>,
    /// The options table; an empty one where there is none.
    node: &'a Node,
    root: &'a Json,
    path: String,
    /// Paths of options that unknown ones were probably meant to be.
    meant: Vec<String>,
    report: &'r mut Report<'t>,
}

impl<'a> Violations<'a, '_, '_> {
    fn add(&mut self, error: &ValidationError<'_>) {
        let Some((field, node)) = self.find(error.instance_path()) else { return };
        if matches!(node.value, Value::Unreadable) {
            return;
        }
        let schema = Schema::parent_of(self.root, error.schema_path().as_str());
        let quoted = self.report.quote(&node.span).to_owned();
        let message = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                return self.unknown(&field, node, unexpected, &schema);
            }
            ValidationErrorKind::Required { property } => {
                return self.missing(&field, node, property.as_str().unwrap_or_default(), &schema);
            }
            ValidationErrorKind::Type { kind } => return self.wrong_type(&field, node, kind, &schema),
            ValidationErrorKind::Enum { options } => {
                let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
                return self.none_of(&field, node, options);
            }
            ValidationErrorKind::Constant { expected_value } => {
                return self.none_of(&field, node, std::slice::from_ref(expected_value));
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                return self.no_form(&field, node, error.instance_path(), context, &schema);
            }
            ValidationErrorKind::Minimum { limit } => {
                return out_of_range(
                    &field,
                    node,
                    &format!("too small; the least is {limit}"),
                    &limit.to_string(),
                    self.report,
                );
            }
            ValidationErrorKind::Maximum { limit } => {
                return out_of_range(
                    &field,
                    node,
                    &format!("too large; the most is {limit}"),
                    &limit.to_string(),
                    self.report,
                );
            }
            ValidationErrorKind::ExclusiveMinimum { limit } => {
                return out_of_range(
                    &field,
                    node,
                    &format!("too small; it must be more than {limit}"),
                    &beyond(limit, 1),
                    self.report,
                );
            }
            ValidationErrorKind::ExclusiveMaximum { limit } => {
                return out_of_range(
                    &field,
                    node,
                    &format!("too large; it must be less than {limit}"),
                    &beyond(limit, -1),
                    self.report,
                );
            }
            ValidationErrorKind::MinLength { limit } => {
                format!("{quoted} is too short; the least is {limit} characters")
            }
            ValidationErrorKind::MaxLength { limit } => format!("{quoted} is too long; the most is {limit} characters"),
            ValidationErrorKind::MinItems { limit } => format!("the list is too short; the least is {limit} entries"),
            ValidationErrorKind::MaxItems { limit } => format!("the list is too long; the most is {limit} entries"),
            ValidationErrorKind::Pattern { pattern } => format!("{quoted} does not match `{pattern}`"),
            // The validator's words, with the source text in place of the value.
            _ => error.masked_with(quoted.as_str()).to_string(),
        };
        self.refuse(&field, node, message, &schema);
    }

    /// The node that the validator speaks of, and its dotted path.
    fn find(&self, location: &Location) -> Option<(String, &'a Node)> {
        let mut field = self.path.clone();
        let mut node = self.node;
        for segment in location.segments() {
            match (segment, &node.value) {
                (LocationSegment::Index(index), Value::List(items)) => {
                    field = format!("{field}[{index}]");
                    node = items.get(index)?;
                }
                (segment, _) => {
                    let key = segment.to_string();
                    field = join(&field, &key);
                    node = &node.entry(&key)?.node;
                }
            }
        }
        Some((field, node))
    }

    fn unknown(&mut self, field: &str, table: &Node, unexpected: &[String], schema: &Schema<'_>) {
        let known = schema.names();
        let known = || known.iter().map(String::as_str);
        for entry in table.entries().iter().filter(|entry| unexpected.contains(&entry.key)) {
            let meant = nearest(&entry.key, known().filter(|name| table.entry(name).is_none()));
            let diagnostic = Diagnostic::new(join(field, &entry.key), entry.key_span.clone(), "unknown option");
            let text = self.report.text;
            self.report.add(diagnostic.rename_or_remove(text, table, entry, meant, known()));
            self.meant.extend(meant.map(|name| join(field, name)));
        }
    }

    fn missing(&mut self, field: &str, table: &Node, name: &str, schema: &Schema<'_>) {
        if self.meant.contains(&join(field, name)) {
            return;
        }
        let property = schema.property(name);
        let message = match property.description() {
            Some(description) => format!("this option is missing: {description}"),
            None => "this option is missing".to_owned(),
        };
        let example = property.example().unwrap_or_else(|| "\"…\"".to_owned());
        let text = self.report.text;
        let span = if table.span == self.node.span { &self.declared.name_span } else { &table.span };
        let diagnostic = Diagnostic::new(join(field, name), span.clone(), message);
        self.report.add(match self.given {
            Some(_) => diagnostic.add_key(text, table, "", name, &example),
            None => diagnostic.add_key(text, &self.declared.table, "plugin", &format!("options.{name}"), &example),
        });
    }

    fn wrong_type(&mut self, field: &str, node: &Node, kind: &TypeKind, schema: &Schema<'_>) {
        let types: Vec<JsonType> = match kind {
            TypeKind::Single(single) => vec![*single],
            TypeKind::Multiple(several) => several.iter().filter(|json| *json != JsonType::Null).collect(),
        };
        let wanted: Vec<&str> = types.iter().map(|json| noun(*json)).collect();
        let example = match (&node.value, types.as_slice()) {
            (Value::String(_), [JsonType::Array]) => format!("[{}]", self.report.quote(&node.span)),
            _ => schema.example().unwrap_or_default(),
        };
        wrong_type(field, node, &wanted.join(" or "), &example, self.report);
    }

    fn none_of(&mut self, field: &str, node: &Node, options: &[Json]) {
        let literals: Vec<String> = options.iter().filter_map(schema::literal).collect();
        let shown = literals.iter().map(|literal| format!("`{literal}`")).collect::<Vec<_>>().join(", ");
        let message = format!("{} is none of {shown}", self.report.quote(&node.span));
        let given = match &node.value {
            Value::String(text) => schema::literal(&Json::String(text.value.clone())).unwrap_or_default(),
            _ => String::new(),
        };
        let meant = nearest(&given, literals.iter().map(String::as_str)).or(literals.first().map(String::as_str));
        let diagnostic = Diagnostic::new(field, node.span.clone(), message);
        self.report.add(diagnostic.write(node.span.clone(), meant.unwrap_or_default()));
    }

    /// A value that fits none of several forms: an enum with documented values, an optional value, or one of several
    /// shapes.
    fn no_form(
        &mut self,
        field: &str,
        node: &Node,
        location: &Location,
        context: &[Vec<ValidationError<'static>>],
        schema: &Schema<'_>,
    ) {
        let is_null = |errors: &Vec<ValidationError<'static>>| {
            matches!(errors.as_slice(), [error] if matches!(error.kind(),
                ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Null) }))
        };
        let forms: Vec<_> = context.iter().filter(|errors| !is_null(errors)).collect();
        if let [errors] = forms.as_slice() {
            return errors.iter().for_each(|error| self.add(error));
        }
        let constants = |errors: &&'_ Vec<ValidationError<'static>>| match errors.as_slice() {
            [error] if error.instance_path() == location => match error.kind() {
                ValidationErrorKind::Constant { expected_value } => Some(vec![Json::clone(expected_value)]),
                ValidationErrorKind::Enum { options } => options.as_array().cloned(),
                _ => None,
            },
            _ => None,
        };
        match forms.iter().map(constants).collect::<Option<Vec<_>>>() {
            Some(options) => self.none_of(field, node, &options.concat()),
            None => {
                let message = "the value has none of the forms that this option can have".to_owned();
                self.refuse(field, node, message, schema);
            }
        }
    }

    /// A violation for whose remedy only the schema's own default or example can serve.
    fn refuse(&mut self, field: &str, node: &Node, message: String, schema: &Schema<'_>) {
        let diagnostic = Diagnostic::new(field, node.span.clone(), message);
        self.report.add(match (schema.shown_example(), schema.description()) {
            (Some(example), _) => diagnostic.write(node.span.clone(), example),
            (None, Some(description)) => diagnostic.help(format!("write what the option is for: {description}")),
            (None, None) => diagnostic.help("`rayline plugin show` prints what the option can be"),
        });
    }
}

/// The next whole number on the right side of an exclusive limit.
fn beyond(limit: &Json, step: i64) -> String {
    match (limit.as_i64(), limit.as_f64()) {
        (Some(integer), _) => integer.saturating_add(step).to_string(),
        (None, Some(number)) => (number + step as f64).to_string(),
        _ => limit.to_string(),
    }
}

fn noun(json: JsonType) -> &'static str {
    match json {
        JsonType::Array => "a list",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Null => "nothing",
        JsonType::Number => "a number",
        JsonType::Object => "a table",
        JsonType::String => "a string",
    }
}
