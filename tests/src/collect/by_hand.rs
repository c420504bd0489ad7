//! `rayline collect`: stopped half-way, and beside a pipeline whose folder is called as its own once was.

use crate::harness::{World, workspace};

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:OrderFulfilment:order-100417";

#[test]
fn what_is_stopped_goes_on_and_others_keep_their_folders() {
    let world = World::new();
    world.write(
        "collect.toml",
        format!(
            r#"
            [sources.executions]
            plugin = "xray-source"
            grants.xray = "file:{}"
            grants.events = "file:not-this.queue"
            options = {{ retry_secs = [5] }}
            [sinks.out]
            plugin = "print-sink"
            inputs = ["executions"]
            grants.output = "stdout"
            "#,
            workspace("samples/accounts").display()
        ),
    );
    world.share_cache("rayline-data");
    world.write("rayline-data/collect/checkpoints/collect/executions-0", "{}");
    let args = ["collect", "--pipeline", "collect.toml", "--execution", ARN];
    let mut first = world.rayline(&args).start();
    first.until("the first message", |host| host.stdout().contains(r#""verdict":"partial""#).then_some(()));
    first.signal("TERM");
    first.ends().with_code(5).says("goes on where it was");
    let second = world.rayline(&args).succeeds();
    assert!(!second.stdout.contains(r#""verdict":"partial""#), "that was handed over: {}", second.stdout);
    assert!(second.stdout.contains(r#""verdict":"settled""#), "{}", second.stdout);
    assert!(world.path("rayline-data/collect/checkpoints/collect/executions-0").exists());
}
