//! `rayline collect`: as often as wanted, stopped half-way, and beside a pipeline whose folder is called as its own once was.

use serde_json::Value;

use crate::harness::{World, workspace};

const ARN: &str = "arn:aws:states:eu-west-1:111122223333:execution:OrderFulfilment:order-100417";

const COLLECT: [&str; 5] = ["collect", "--pipeline", "collect.toml", "--execution", ARN];

/// With `collect.toml`, whose source has these options.
fn world(options: &str) -> World {
    let world = World::new();
    world.write(
        "collect.toml",
        format!(
            r#"
            [sources.executions]
            plugin = "xray-source"
            grants.xray = "file:{}"
            grants.events = "file:not-this.queue"
            options = {options}
            [sinks.out]
            plugin = "print-sink"
            inputs = ["executions"]
            grants.output = "stdout"
            "#,
            workspace("samples/accounts").display()
        ),
    );
    world.share_cache("rayline-data");
    world
}

#[test]
fn an_execution_is_collected_as_often_as_wanted() {
    let world = world("{ retry_secs = [1], sweep = {} }");
    for _ in 0..2 {
        let collected = world.rayline(&COLLECT).succeeds();
        let messages: Vec<Value> =
            collected.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let last = messages.last().expect("a message");
        assert_eq!(last["verdict"], "settled");
        assert_eq!(last["executions"][0]["executionArn"], ARN);
        assert_eq!(last["trace"]["Id"], "1-6ac35c4a-6abf07c02ec0e5f739963aff");
    }
    assert!(!world.path("not-this.queue").exists(), "a host that runs keeps its queue");
    world.rayline(&["collect", "--pipeline", "collect.toml"]).ends().with_code(2).says("--execution");
}

#[test]
fn what_is_stopped_goes_on_and_others_keep_their_folders() {
    // Time to stop it in.
    let world = world("{ retry_secs = [15] }");
    world.write("rayline-data/collect/checkpoints/collect/executions-0", "{}");
    let mut first = world.rayline(&COLLECT).start();
    first.until("the first message", |host| host.stdout().contains(r#""verdict":"partial""#).then_some(()));
    first.signal("TERM");
    first.ends().with_code(5).says("goes on where it was");
    let second = world.rayline(&COLLECT).succeeds();
    assert!(!second.stdout.contains(r#""verdict":"partial""#), "that was handed over: {}", second.stdout);
    assert!(second.stdout.contains(r#""verdict":"settled""#), "{}", second.stdout);
    assert!(world.path("rayline-data/collect/checkpoints/collect/executions-0").exists());
}
