use rayline_sdk::{Context, Event, Failure, NewEvent, Output, Transform};

/// Which field is redacted.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Redact {
    /// The field, as it stands in the body: `user.id`.
    field: String,
}

impl Transform for Redact {
    type Options = Redact;
    const SUMMARY: &'static str = "Replaces one field of every body that has it";

    fn open(options: Redact, _: &Context) -> Result<Redact, Failure> {
        Ok(options)
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        let body = serde_json::from_slice(event.body).map_err(|_| Failure::reject("the body is not JSON"));
        let mut body: serde_json::Value = body?;
        match body.get_mut(&self.field) {
            Some(field) => *field = "[redacted]".into(),
            None => return Ok(out.keep(event)),
        }
        Ok(out.push(&NewEvent::like(event), body.to_string().as_bytes()))
    }
}

rayline_sdk::export_transform!(Redact);
