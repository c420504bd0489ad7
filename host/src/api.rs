//! `/health` and `/metrics` over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::run::Status;

/// What the pages show.
#[derive(Clone)]
pub struct Api {
    /// Of the whole process.
    pub metrics: Arc<Metrics>,
    /// One for each running pipeline.
    pub pipelines: Vec<Status>,
}

impl Api {
    /// Serves until the returned task is aborted.
    ///
    /// # Errors
    /// When the listener has no address any more.
    pub fn serve(self, listener: TcpListener) -> anyhow::Result<tokio::task::JoinHandle<()>> {
        tracing::info!(address = %listener.local_addr()?, "serving /health and /metrics");
        let router = Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(self);
        Ok(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the api ended");
            }
        }))
    }
}

/// Takes the address of an [`Api`]: before the pipelines start, so that none is torn down where it is taken.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (`api.address`): is another host there?"))
}

/// 200 when every stage does its work and dead letters are written, else 503; the body says which does not, and why.
async fn health(State(api): State<Api>) -> Response {
    let pipelines: Vec<Value> = api.pipelines.iter().map(pipeline_health).collect();
    let healthy = pipelines.iter().all(|pipeline| pipeline.get("healthy") == Some(&Value::Bool(true)));
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "healthy": healthy, "pipelines": pipelines }))).into_response()
}

fn pipeline_health(pipeline: &Status) -> Value {
    let stages: Vec<Value> = pipeline
        .stages
        .iter()
        .map(|stage| {
            let paused = stage.breaker.is_paused();
            let problem = stage.problem();
            json!({ "name": &*stage.name, "healthy": problem.is_none() && !paused, "paused": paused, "problem": problem })
        })
        .collect();
    let problem = pipeline.dead_letter.get();
    let healthy = problem.is_none() && stages.iter().all(|stage| stage.get("healthy") == Some(&Value::Bool(true)));
    let dead_letter = json!({ "healthy": problem.is_none(), "problem": problem });
    json!({ "name": pipeline.name, "healthy": healthy, "stages": stages, "dead_letter": dead_letter })
}

async fn metrics(State(api): State<Api>) -> Response {
    for pipeline in &api.pipelines {
        pipeline.refresh().await;
    }
    match api.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
