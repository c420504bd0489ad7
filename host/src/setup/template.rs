//! Index templates: what makes a month's index have the right mapping and settings when its first document comes.

use serde_json::{Value, json};

use super::mapping::{self, Annotations, EVERY, Index};

/// Something that is put on a server as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// For the operator: `index template xray-spans`.
    pub title: String,
    /// From `/` on.
    pub path: String,
    /// What is put there.
    pub body: Value,
    /// Where in the answer to a `GET` what was put stands (a JSON pointer).
    pub place: String,
}

/// Which kind of templates a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A component template and index templates: Elasticsearch from 7.8, every OpenSearch.
    Composable,
    /// Index templates alone, each with everything.
    Legacy,
}

/// The templates of all indices of a prefix; the component template has it for its name. `lifecycle` is the setting `index.lifecycle`, where indices have one.
pub fn templates(prefix: &str, form: Form, annotations: Annotations, lifecycle: Option<&Value>) -> Vec<Resource> {
    let mut index = json!({"number_of_shards": 1, "refresh_interval": "10s"});
    if let (Value::Object(index), Some(lifecycle)) = (&mut index, lifecycle) {
        index.insert("lifecycle".to_owned(), lifecycle.clone());
    }
    let settings = json!({"index": index});
    let mut templates = Vec::new();
    if form == Form::Composable {
        templates.push(Resource {
            title: format!("component template {prefix}"),
            path: format!("/_component_template/{prefix}"),
            body: json!({"template": {"settings": settings}}),
            place: "/component_templates/0/component_template".to_owned(),
        });
    }
    for index in Index::ALL {
        let mappings = mapping::mapping(EVERY.iter().copied().chain(index.fields()), annotations);
        let name = index.name(prefix);
        let title = format!("index template {name}");
        templates.push(match form {
            Form::Composable => Resource {
                title,
                path: format!("/_index_template/{name}"),
                body: json!({
                    "index_patterns": [index.pattern(prefix)],
                    "composed_of": [prefix],
                    "priority": 100,
                    "template": {"mappings": mappings},
                }),
                place: "/index_templates/0/index_template".to_owned(),
            },
            Form::Legacy => Resource {
                title,
                path: format!("/_template/{name}"),
                body: json!({"index_patterns": [index.pattern(prefix)], "settings": settings, "mappings": mappings}),
                place: format!("/{name}"),
            },
        });
    }
    templates
}
