//! Looking into a plugin's JSON Schema: types, names and examples of its options.

use serde_json::Value as Json;

/// A place in a schema; nowhere where the schema says nothing.
#[derive(Clone, Copy)]
pub(super) struct Schema<'s> {
    root: &'s Json,
    here: Option<&'s Json>,
}

impl<'s> Schema<'s> {
    pub fn root(root: &'s Json) -> Schema<'s> {
        Schema { root, here: Some(root) }
    }

    /// The schema that has the keyword at this JSON pointer.
    pub fn parent_of(root: &'s Json, keyword: &str) -> Schema<'s> {
        let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        Schema { root, here: root.pointer(parent) }
    }

    pub fn property(&self, name: &str) -> Schema<'s> {
        let find = |form: &'s Json| {
            let named = form.get("properties").and_then(|properties| properties.get(name));
            named.or_else(|| form.get("additionalProperties"))
        };
        Schema { root: self.root, here: self.forms().into_iter().find_map(find) }
    }

    pub fn item(&self) -> Schema<'s> {
        Schema { root: self.root, here: self.forms().into_iter().find_map(|form| form.get("items")) }
    }

    /// The names of the properties, sorted.
    pub fn names(&self) -> Vec<String> {
        let objects = self.forms().into_iter().filter_map(|form| form.get("properties")?.as_object());
        let mut names: Vec<String> = objects.flat_map(|properties| properties.keys().cloned()).collect();
        names.sort();
        names
    }

    pub fn description(&self) -> Option<&'s str> {
        self.forms().into_iter().find_map(|form| form.get("description")?.as_str())
    }

    /// What the text is, if a number or a boolean and no string is wanted here.
    pub fn parse_scalar(&self, text: &str) -> Option<Json> {
        let types = self.types();
        let wants = |name: &str| types.contains(&name);
        if wants("string") {
            return None;
        }
        let integer = || text.parse::<i64>().ok().map(Json::from);
        let number = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Json::from);
        let boolean = || text.parse::<bool>().ok().map(Json::from);
        let as_integer = if wants("integer") || wants("number") { integer() } else { None };
        let as_number = || if wants("number") { number() } else { None };
        let as_boolean = || if wants("boolean") { boolean() } else { None };
        as_integer.or_else(as_number).or_else(as_boolean)
    }

    /// A value that the schema itself shows, as one writes it.
    pub fn shown_example(&self) -> Option<String> {
        let shown = |form: &'s Json| {
            let example = form.get("examples").and_then(|examples| examples.get(0));
            let one_of = form.get("enum").and_then(|options| options.get(0));
            let default = form.get("default").filter(|default| !default.is_null());
            default.or(example).or(form.get("const")).or(one_of).and_then(literal)
        };
        self.forms().into_iter().find_map(shown)
    }

    /// A value that could stand here, as one writes it.
    pub fn example(&self) -> Option<String> {
        let by_type = || {
            let minimum = self.forms().into_iter().find_map(|form| form.get("minimum")?.as_f64());
            Some(match *self.types().iter().find(|name| **name != "null")? {
                "integer" | "number" => minimum.map_or(1.0, |minimum| minimum.max(1.0)).to_string(),
                "boolean" => "true".to_owned(),
                "array" => "[]".to_owned(),
                "object" => self.object_example(),
                _ => "\"…\"".to_owned(),
            })
        };
        self.shown_example().or_else(by_type)
    }

    /// An object with what it must have.
    fn object_example(&self) -> String {
        let required = self.forms().into_iter().find_map(|form| form.get("required")?.as_array());
        let members = required.into_iter().flatten().filter_map(Json::as_str);
        let members: Vec<String> =
            members.filter_map(|name| Some(format!("{name} = {}", self.property(name).example()?))).collect();
        if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
    }

    /// The names of the JSON types that can stand here.
    fn types(&self) -> Vec<&'s str> {
        let of = |form: &'s Json| match form.get("type") {
            Some(Json::String(name)) => vec![name.as_str()],
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
            _ => {
                let options = form.get("enum").and_then(Json::as_array).into_iter().flatten();
                let constants = form.get("const").into_iter().chain(options);
                constants.filter(|value| value.is_string()).map(|_| "string").collect()
            }
        };
        self.forms().into_iter().flat_map(of).collect()
    }

    /// This schema, what it refers to within the document, and the alternatives it consists of.
    fn forms(&self) -> Vec<&'s Json> {
        let mut forms: Vec<&'s Json> = self.here.into_iter().collect();
        let mut next = 0;
        while let Some(form) = forms.get(next).copied() {
            next += 1;
            let referred = form
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|pointer| self.root.pointer(pointer.strip_prefix('#')?));
            let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|keyword| form.get(keyword)?.as_array());
            for part in referred.into_iter().chain(parts.flatten()) {
                // A schema may contain itself.
                if !forms.iter().any(|known| std::ptr::eq(*known, part)) {
                    forms.push(part);
                }
            }
        }
        forms
    }
}

/// The schema with `additionalProperties: false` wherever it lists the properties of an object and says nothing of
/// others: an unknown option is an error, whether or not the plugin's author thought of it. Objects that are put
/// together (`allOf` and the like) stay as they are, since their parts do not know each other's properties.
pub(super) fn closed(schema: &Json) -> Json {
    let mut schema = schema.clone();
    close(&mut schema);
    schema
}

fn close(schema: &mut Json) {
    let Some(object) = schema.as_object_mut() else { return };
    let composed = ["$ref", "allOf", "anyOf", "oneOf", "patternProperties", "unevaluatedProperties"];
    if object.contains_key("properties") && !composed.iter().any(|keyword| object.contains_key(*keyword)) {
        object.entry("additionalProperties").or_insert(Json::Bool(false));
    }
    for keyword in ["properties", "$defs", "definitions"] {
        for (_, part) in object.get_mut(keyword).and_then(Json::as_object_mut).into_iter().flatten() {
            close(part);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(part) = object.get_mut(keyword) {
            close(part);
        }
    }
}

/// The value as one writes it in TOML. `None` for null, which TOML does not have.
pub(super) fn literal(value: &Json) -> Option<String> {
    Some(match value {
        Json::Null => return None,
        Json::Array(items) => format!("[{}]", items.iter().filter_map(literal).collect::<Vec<_>>().join(", ")),
        Json::Object(members) => {
            let members = members.iter().filter_map(|(key, value)| Some(format!("{key} = {}", literal(value)?)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        // JSON's escapes are escapes in TOML too.
        scalar => scalar.to_string(),
    })
}
