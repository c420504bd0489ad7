use rayline_sdk::{Context, Event, Failure, NewEvent, Output, Transform};

/// Which field is redacted.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Redact {
    /// The field, as it stands in the body: `user.id`.
    field: String,
    /// What stands in its place. `[redacted]` if absent.
    replacement: Option<String>,
}

impl Transform for Redact {
    type Options = Redact;
    const SUMMARY: &'static str = "Replaces one field of every body that has it";

    fn open(options: Redact, _: &Context) -> Result<Redact, Failure> {
        Ok(options)
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        let mut body: serde_json::Value =
            serde_json::from_slice(event.body).map_err(|_| Failure::reject("the body is not JSON"))?;
        if let Some(field) = body.get_mut(&self.field) {
            *field = self.replacement.as_deref().unwrap_or("[redacted]").into();
            out.push(&NewEvent::like(event), body.to_string().as_bytes());
        } else {
            out.keep(event);
        }
        Ok(())
    }
}

rayline_sdk::export_transform!(Redact);
