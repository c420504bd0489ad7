//! Dashboards in Kibana or OpenSearch Dashboards.
//!
//! - [`chart`]: what a chart shows; its search. [`charts`]: the charts, the one description of them.
//! - [`dashboard`]: which charts stand where.
//! - `visualization`, `timeline`: a chart as Kibana draws it; `saved_dashboard`: a dashboard as Kibana keeps it.
//! - [`object`]: all of it as saved objects, in a file to import.
//! - [`server`]: which program answers, and what it takes.
//! - `import`: the upload, and what the server says of each object.

pub mod chart;
pub mod charts;
pub mod dashboard;
mod import;
mod json;
pub mod object;
mod saved_dashboard;
pub mod server;
mod timeline;
mod visualization;

use anyhow::bail;

use crate::grant::http::Client;
use dashboard::DASHBOARDS;
use import::Imported;
use object::own_id;
use server::{Product, Server};

/// Where in the server the objects go.
#[derive(Clone, Debug, Default)]
pub struct Destination {
    /// A space of Kibana, by its identifier; `None` is the default space.
    pub space: Option<String>,
    /// A tenant of OpenSearch Dashboards' security plugin; `None` is the user's own choice there.
    pub tenant: Option<String>,
}

/// What an import did.
#[derive(Debug)]
pub struct Installed {
    /// Where.
    pub server: Server,
    /// How many objects are there now.
    pub objects: usize,
    /// Title and path below the server's address, for each dashboard.
    pub dashboards: Vec<(String, String)>,
}

/// Imports every object, for the indices with this prefix, into the server behind `client`. Objects of an earlier import
/// are replaced, changes that somebody made to them are lost; nothing else is touched.
///
/// # Errors
/// What the server is or says, for the person who must act on it. An import can have been done in part.
pub async fn install(client: &Client, destination: &Destination, prefix: &str) -> anyhow::Result<Installed> {
    let server = Server::find(client).await?;
    destination.check(&server)?;
    let base = match &destination.space {
        Some(space) => {
            server.check_space(client, space).await?;
            format!("/s/{space}")
        }
        None => String::new(),
    };
    let form = server.form()?;
    let imported = import::import(client, &server, &base, destination.tenant.as_deref(), form, prefix).await?;
    let dashboards = DASHBOARDS
        .iter()
        .map(|dashboard| {
            let id = own_id(dashboard.id, prefix);
            (dashboard.title_for(prefix), format!("{base}/app/dashboards#/view/{}", imported.id_of(&id)))
        })
        .collect();
    let Imported { objects, .. } = imported;
    Ok(Installed { server, objects, dashboards })
}

impl Destination {
    fn check(&self, server: &Server) -> anyhow::Result<()> {
        match (server.product, self) {
            (Product::Kibana, Destination { tenant: Some(_), .. }) => {
                bail!("{server} has no tenants: these are OpenSearch Dashboards'; name a space with --space")
            }
            (Product::OpenSearchDashboards, Destination { space: Some(_), .. }) => {
                bail!("{server} has no spaces: these are Kibana's; name a tenant with --tenant")
            }
            (_, Destination { space: Some(space), .. }) if !is_space(space) => bail!(
                "{space:?} is no identifier of a space: these are of lower case letters, digits, - and _, and stand in \
                 the address as /s/IDENTIFIER"
            ),
            _ => Ok(()),
        }
    }
}

fn is_space(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}
