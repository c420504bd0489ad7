//! What an execution is called, section 5.

use super::body::Body;
use super::common::Arn;
use super::json::Reader;
use super::node::Node;

/// The names in and around an execution ARN, `…:execution:SM:NAME` or `…:express:SM:NAME:UUID`.
pub fn of_execution(body: &mut Body, arn: Option<&Arn>, described: Option<&Reader>) {
    let text = |key| described.and_then(|reader| reader.text(key));
    let resource = |index: usize| arn.and_then(|arn| arn.resource.get(index).cloned());
    let kind = match resource(0).as_deref() {
        Some("execution") => Some("STANDARD"),
        Some("express") => Some("EXPRESS"),
        _ => None,
    };
    body.put("execution.type", kind);
    let is_execution = |name: &String| kind.is_some() && !name.is_empty();
    body.put("execution.name", resource(2).filter(is_execution).or_else(|| text("name")));

    let machine = resource(1).filter(is_execution);
    let machine_arn = text("stateMachineArn").or_else(|| {
        let Arn { partition, region, account, .. } = arn?;
        let (region, account) = (region.clone().unwrap_or_default(), account.clone().unwrap_or_default());
        Some(format!("arn:{partition}:states:{region}:{account}:stateMachine:{}", machine.as_ref()?))
    });
    let of_machine = text("stateMachineArn").and_then(|arn| Arn::parse(&arn)?.resource.get(1).cloned());
    let machine = of_machine.filter(|name| !name.is_empty()).or(machine);
    body.put("execution.state_machine.arn", machine_arn);
    body.put("execution.state_machine.name", &machine);
    body.put("execution.state_machine.version_arn", text("stateMachineVersionArn"));
    body.put("execution.state_machine.alias_arn", text("stateMachineAliasArn"));
    body.put("service.name", machine);
}

/// (c): the segment's name, and what it runs on.
pub fn of_segment(body: &mut Body, own: &Node) {
    let origin = own.text("origin").unwrap_or_default();
    let of = |service: &str| origin == service || origin.starts_with(&format!("{service}::"));
    let kind = match () {
        () if of("AWS::Lambda") => "LAMBDA",
        () if of("AWS::EC2") => "EC2",
        () if of("AWS::ECS") => "ECS",
        () => "OTHER",
    };
    body.put("execution.type", kind);
    body.put("execution.name", &own.name);
    body.put("service.name", &own.name);
}
