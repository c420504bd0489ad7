//! Amazon Resource Names.

/// The parts of an ARN that are read. Empty ones are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, …
    pub partition: &'a str,
    pub service: &'a str,
    pub region: Option<&'a str>,
    pub account: Option<&'a str>,
    /// All that follows the account.
    pub resource: &'a str,
}

/// The ARN of a Step Functions execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionArn<'a> {
    pub arn: Arn<'a>,
    pub is_express: bool,
    pub state_machine: &'a str,
    pub name: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits an ARN; `None` if the text is none.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let present = |part: &'a str| (!part.is_empty()).then_some(part);
        Some(Arn {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next().map(present)?,
            account: parts.next().map(present)?,
            resource: parts.next()?,
        })
    }
}

impl<'a> ExecutionArn<'a> {
    /// Splits `…:execution:SM:NAME` or `…:express:SM:NAME:UUID`; `None` if the text is neither.
    pub fn parse(text: &'a str) -> Option<ExecutionArn<'a>> {
        let arn = Arn::parse(text).filter(|arn| arn.service == "states")?;
        let mut parts = arn.resource.split(':');
        let is_express = match parts.next()? {
            "execution" => false,
            "express" => true,
            _ => return None,
        };
        let (state_machine, name) = (parts.next()?, parts.next()?);
        (!state_machine.is_empty() && !name.is_empty()).then_some(ExecutionArn { arn, is_express, state_machine, name })
    }

    /// The ARN of its state machine.
    pub fn state_machine_arn(&self) -> String {
        let Arn { partition, region, account, .. } = self.arn;
        let (region, account) = (region.unwrap_or_default(), account.unwrap_or_default());
        format!("arn:{partition}:states:{region}:{account}:stateMachine:{}", self.state_machine)
    }
}

/// The name in a state machine's ARN.
pub fn state_machine_name(arn: &str) -> Option<&str> {
    Arn::parse(arn)?.resource.strip_prefix("stateMachine:")?.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions() {
        let standard = ExecutionArn::parse("arn:aws:states:eu-west-1:210987654321:execution:Order:order-1").unwrap();
        assert_eq!((standard.is_express, standard.state_machine, standard.name), (false, "Order", "order-1"));
        assert_eq!(standard.state_machine_arn(), "arn:aws:states:eu-west-1:210987654321:stateMachine:Order");
        let express = ExecutionArn::parse("arn:aws-cn:states:cn-north-1:210987654321:express:SM:NAME:uu-id").unwrap();
        assert_eq!((express.is_express, express.state_machine, express.name), (true, "SM", "NAME"));
        for text in [
            "chicken",
            "arn:aws:states:r:a:stateMachine:SM",
            "arn:aws:sqs:r:a:execution:SM:N",
            "arn:aws:states:r:a:execution:SM",
        ] {
            assert_eq!(ExecutionArn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn accounts() {
        for (text, expected) in [
            ("arn:aws:lambda:us-east-1:123456789012:function:f", Some("123456789012")),
            ("arn:aws:apigateway:us-east-1::/restapis/x/stages/prod", None),
        ] {
            assert_eq!(Arn::parse(text).unwrap().account, expected);
        }
    }
}
